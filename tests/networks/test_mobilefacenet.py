"""MobileFaceNet: the stack of layers, its maps and rectifiers."""

import pytest
import tensorflow as tf

from ldl_fer.networks.mobilefacenet import mobilefacenet

layers = tf.keras.layers


def test_mobilefacenet_is_the_stack_of_the_onnx_file():
    model = mobilefacenet(112)
    maps = {"map_stride8": (14, 128), "map_stride16": (7, 128), "map_stride16_wide": (7, 512)}
    for name, (side, channels) in maps.items():
        assert model.get_layer(name).output_shape == (None, side, side, channels)
    # Kernels, read off the file: stem, depthwise, pointwise; (channels, expanded, out) of the
    # blocks; conv2, global depthwise, conv3.
    blocks = [(64, 128, 64)] * 5 + [(64, 256, 128)] + [(128, 256, 128)] * 6
    blocks += [(128, 512, 128)] + [(128, 256, 128)] * 2
    expected = [(3, 3, 3, 64), (3, 3, 64, 1), (1, 1, 64, 64)]
    for channels, expanded, out in blocks:
        expected += [(1, 1, channels, expanded), (3, 3, expanded, 1), (1, 1, expanded, out)]
    expected += [(1, 1, 128, 512), (7, 7, 512, 1), (1, 1, 512, 128)]
    kernels = [v for v in model.trainable_variables if v.shape.rank == 4]
    assert [tuple(v.shape) for v in kernels] == expected
    residual = [n for n in range(15) if n not in (0, 5, 12)]
    assert [x.name for x in model.layers if isinstance(x, layers.Add)] == [
        f"block{n:02d}_add" for n in residual
    ]
    # One slope per channel; none after the 15 projections and the last two layers: 51 - 17.
    slopes = [x for x in model.layers if isinstance(x, layers.PReLU)]
    assert len(slopes) == 34 and all(x.alpha.shape[:2] == (1, 1) for x in slopes)


def test_mobilefacenet_with_the_rectifiers_of_the_file():
    model = mobilefacenet(32, rectifier="relu6")
    limits = {x.name: x.max_value for x in model.layers if isinstance(x, layers.ReLU)}
    plain = {name for name, limit in limits.items() if limit is None}
    assert plain == {"dw_conv_depthwise_act", "dw_conv_pointwise_act"}
    assert len(limits) == 34 and {float(limits[n]) for n in limits if n not in plain} == {6.0}
    with pytest.raises(ValueError, match="rectifier"):
        mobilefacenet(32, rectifier="gelu")
