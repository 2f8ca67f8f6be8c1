"""Made-up landmark models as .tflite files, of the face mesh's shapes."""

import numpy as np
import tensorflow as tf

POINTS = 468
RADIUS = 0.2  # of the input's side: the points lie on a circle of this size


def ring():
    """The points' x, y, z as parts of the radius; the eyes' corners are level."""
    angles = np.linspace(0, 2 * np.pi, POINTS, endpoint=False)
    points = np.stack([np.cos(angles), np.sin(angles), 0.5 * np.sin(angles)], axis=1)
    points[[33, 263]] = [(-0.5, -0.25, 0), (0.5, -0.25, 0)]
    return points.astype(np.float32)


def bright_spot_model(
    file, size=16, points=POINTS, score=True, channels=3, dtype=tf.float32, several_shapes=False
):
    """Writes a model that sets a ring of points around what is bright; black is no face.

    With `several_shapes`, the ring is the wider the brighter the picture is.
    """
    shape = [1, size, size, channels]

    @tf.function(input_signature=[tf.TensorSpec(shape, dtype)])
    def answer(images):
        gray = tf.reduce_mean(tf.cast(images, tf.float32), [0, 3])
        axis = tf.range(size, dtype=tf.float32)
        mass = tf.reduce_sum(gray) + 1e-6
        x = tf.reduce_sum(gray * axis[tf.newaxis, :]) / mass
        y = tf.reduce_sum(gray * axis[:, tf.newaxis]) / mass
        width = 1.0 + mass / size**2 if several_shapes else 1.0
        made = tf.stack([x, y, 0.0]) + RADIUS * size * ring()[:points] * tf.stack([width, 1.0, 1.0])
        answers = {"points": tf.reshape(made, [1, 1, 1, 3 * points])}
        return answers | ({"score": tf.reshape(mass - 0.01, [1, 1, 1, 1])} if score else {})

    concrete = answer.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], answer)
    file.write_bytes(converter.convert())
    return file


def spot(x, y, height=40, width=40):
    """A black RGB picture with a bright spot of 5 x 5 pixels around (x, y)."""
    picture = np.zeros([height, width, 3], np.uint8)
    picture[y - 2 : y + 3, x - 2 : x + 3] = 255
    return picture
