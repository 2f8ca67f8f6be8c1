"""The methods that train a network, one a file: same network, data, schedule and evaluation.

A file has its paper's mathematics as pure functions and, beneath, the `Classifier` that trains by
them; the paper's constants are the defaults of `ldl_fer.config.methods`. Step sizes, schedules and
augmentation are the same for all. What is left at test time is the plain network, or what
`Classifier.complete` makes of it.
"""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

import tensorflow as tf

from ldl_fer.config import Config
from ldl_fer.config.settings import DataConfig
from ldl_fer.methods.ada_df import AdaDF
from ldl_fer.methods.air import AIR
from ldl_fer.methods.baselines import CrossEntropy, LabelSmoothing
from ldl_fer.methods.classifier import Classifier
from ldl_fer.methods.dacl import DACL
from ldl_fer.methods.dmue import DMUE
from ldl_fer.methods.eac import EAC
from ldl_fer.methods.elr import ELR
from ldl_fer.methods.gce import GCE
from ldl_fer.methods.island_loss import IslandLoss
from ldl_fer.methods.la_net import LANet
from ldl_fer.methods.ldl_alsg import LDLALSG
from ldl_fer.methods.ldlva import LDLVA
from ldl_fer.methods.ldt import LDT
from ldl_fer.methods.ltnet import LTNet
from ldl_fer.methods.mek import MEK
from ldl_fer.methods.mixup import Mixup
from ldl_fer.methods.nal import NAL
from ldl_fer.methods.nla import NLA
from ldl_fer.methods.pdls import PDLS
from ldl_fer.methods.ran import RAN
from ldl_fer.methods.resup import ReSup
from ldl_fer.methods.rul import RUL
from ldl_fer.methods.sce import SCE
from ldl_fer.methods.scn import SCN
from ldl_fer.methods.soft import SOFT
from ldl_fer.networks.network import build_network

METHODS: Mapping[str, type[Classifier]] = MappingProxyType(
    {
        "cross_entropy": CrossEntropy,
        "label_smoothing": LabelSmoothing,
        "scn": SCN,
        "rul": RUL,
        "eac": EAC,
        "ldl_alsg": LDLALSG,
        "gce": GCE,
        "sce": SCE,
        "elr": ELR,
        "mixup": Mixup,
        "nal": NAL,
        "resup": ReSup,
        "island_loss": IslandLoss,
        "air": AIR,
        "pdls": PDLS,
        "ltnet": LTNet,
        "ldt": LDT,
        "dacl": DACL,
        "ran": RAN,
        "dmue": DMUE,
        "soft": SOFT,
        "mek": MEK,
        "nla": NLA,
        "la_net": LANet,
        "ada_df": AdaDF,
        "ldlva": LDLVA,
    }
)


def network_of_method(config: Config, load: bool = True) -> tf.keras.Model:
    """Builds the network that the method trains, and that is evaluated and exported.

    Args:
      config: all settings.
      load: as `build_network` takes it.

    Raises:
      InputError: as `build_network`.
    """
    data, seed = config.data, config.run.seed
    network = build_network(config.network, data.image_size, len(data.class_names), seed, load)
    return METHODS[config.method].complete(network, seed)


def neighbors_read(config: Config) -> int:
    """Returns how many neighbors of each sample a training batch holds: K, or 0."""
    return config.data.num_neighbors if METHODS[config.method].reads_neighbors(config) else 0


def training_data(config: Config) -> DataConfig:
    """Returns the data settings with K as training reads it; some methods need no neighbors."""
    return dataclasses.replace(config.data, num_neighbors=neighbors_read(config))
