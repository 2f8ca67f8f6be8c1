"""Passes of a face and of its mirror image, for methods that compare the two."""

import tensorflow as tf

from ldl_fer.methods.classifier import Batch, Classifier
from ldl_fer.networks.head import feature_map

View = tuple[tf.Tensor, tf.Tensor, tf.Tensor]  # maps [B, h, w, V], features [B, V], logits [B, C]


def mirrored_images(batch: Batch) -> tf.Tensor:
    """Returns the mirror images of a batch's `image`; those of pooled maps come with the batch."""
    mirrored = batch.get("mirrored_image")
    return tf.reverse(batch["image"], axis=[2]) if mirrored is None else mirrored


class TwoViews(Classifier):
    """Runs the network on both views of each face, each with batch statistics of its own.

    Attributes:
      with_map: images -> (maps, features, logits); None where features are no average of a map.
    """

    looks_inside = True

    def add_parts(self) -> None:
        self.with_map = feature_map(self.network)

    def pass_views(self, batch: Batch) -> list[View]:
        """Returns what the network makes of the faces and of their mirror images.

        Where features are no average of a map, they are the map, of one place. Of a frozen
        backbone's head, dropout drops the same of both views.
        """
        views = [batch["image"], mirrored_images(batch)]
        if self.with_map is not None:
            return [self.with_map(view, training=True) for view in views]
        if self.trained is self.network:
            passed = [self.run_network(view, training=True) for view in views]
        else:
            passed = self._pass_head(views)
        return [(features[:, tf.newaxis, tf.newaxis], features, z) for features, z in passed]

    def _pass_head(self, views):
        features = []
        for layer in self.trained.layers[1:]:
            if layer.name == "logits":
                return [(v, layer(view)) for v, view in zip(features, views, strict=True)]
            if layer.name == "dropout":
                kept = layer(tf.ones_like(views[0]), training=True)
                views = [view * kept for view in views]
            else:
                training = layer.name != "standardization"
                views = [layer(view, training=training) for view in views]
            if layer.name == "features":
                features = views
        raise ValueError("the network has no layer 'logits'")
