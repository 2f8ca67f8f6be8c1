"""The paper's tables: methods, noises and settings of each."""

from ldl_fer.config import Config
from ldl_fer.config.presets import PRESETS
from ldl_fer.experiments.measures import MEASURES
from ldl_fer.experiments.tables import CLEAN, EXPERIMENTS, Noise
from ldl_fer.methods import METHODS
from ldl_fer.preparation.noise.kinds import KINDS

HALF = [CLEAN, Noise("symmetric", 0.3)]
SWITCHES = (
    *("label_distribution", "adaptive_similarity", "sample_uncertainty", "discriminative_loss"),
)


def methods_of(name):
    return [variant.settings["method"] for variant in EXPERIMENTS[name].variants]


def noises_of(name):
    return list(EXPERIMENTS[name].noises)


def test_all_experiments_are_there_and_make_sense():
    assert set(EXPERIMENTS) == {
        *("noise", "ablation", "neighbors", "inconsistent", "original", "votes", "uncertainty"),
        *("auxiliary", "tuning", "field"),
    }
    for name, experiment in EXPERIMENTS.items():
        assert experiment.name == name and experiment.measure in MEASURES
        for figure in (experiment.figure, *experiment.more):
            assert figure.metric.removesuffix("_last") in {
                metric.removesuffix("_last") for metric in experiment.metrics
            }
            assert set(figure.methods) <= {variant.method for variant in experiment.variants}
        assert experiment.figure.x in ("noise", "setting", "method")
        assert {figure.x for figure in experiment.more} <= {"noise", "confidence", "class"}
        rows = [(variant.method, variant.setting) for variant in experiment.variants]
        assert len(set(rows)) == len(rows) > 0
        configs = [Config().replace(**variant.settings) for variant in experiment.variants]
        assert len({config.to_json() for config in configs}) == len(configs)
        assert len(set(experiment.noises)) == len(experiment.noises) > 0
        for noise in experiment.noises:
            assert noise == CLEAN or noise.kind in KINDS and 0 < noise.rate < 1
        assert experiment.union == (name == "inconsistent")


def test_table_1_noise():
    assert methods_of("noise") == list(METHODS)
    assert noises_of("noise") == [Noise("symmetric", rate) for rate in (0.1, 0.2, 0.3)]
    assert [str(noise) for noise in noises_of("noise")] == [
        *("symmetric 0.1", "symmetric 0.2", "symmetric 0.3")
    ]


def test_the_field_has_the_runs_of_tables_1_and_3():
    assert methods_of("field") == list(METHODS)
    assert noises_of("field") == [
        *noises_of("original"),
        *noises_of("noise"),
        *(Noise("pair", 0.3), Noise("votes", 0.3)),
    ]


def test_tables_2_and_3_original_labels():
    for name in ("inconsistent", "original"):
        assert methods_of(name) == list(METHODS) and noises_of(name) == [CLEAN]


def test_table_4_has_the_papers_rows():
    experiment = EXPERIMENTS["ablation"]
    assert noises_of("ablation") == HALF
    label, similarity, uncertainty, discriminative = SWITCHES
    expected = {
        "(ii) LD + AS": {label, similarity},
        "(iii) LD + AS + UF": {label, similarity, uncertainty},
        "(iv) LD + UF + DL": {label, uncertainty, discriminative},
        "(v) LD + AS + UF + DL": set(SWITCHES),
    }
    assert [v.setting for v in experiment.variants] == ["(i) baseline", *expected]
    # Whatever else the user's settings say.
    user = PRESETS["frozen"].replace(fixed_uncertainty=0.25, adaptive_similarity=False)
    first, *others = (user.replace(**variant.settings) for variant in experiment.variants)
    assert first == user.replace(method="cross_entropy")
    whole = user.replace(**dict.fromkeys(SWITCHES, True), fixed_uncertainty=0.5)
    for config, parts in zip(others, expected.values(), strict=True):
        assert {name for name in SWITCHES if getattr(config.ldlva, name)} == parts
        assert config.replace(**dict.fromkeys(SWITCHES, True)) == whole
    assert "lambda is 0.5 for all samples" in experiment.question


def test_figure_7_number_of_neighbors():
    variants = EXPERIMENTS["neighbors"].variants
    assert [dict(variant.settings) for variant in variants] == [
        {"num_neighbors": count, "center_rows": "main"} for count in (1, 2, 4, 8, 16, 32)
    ]
    assert noises_of("neighbors") == HALF


def test_figures_in_numbers():
    assert methods_of("votes") == ["cross_entropy", "label_smoothing", "pdls", "ldlva"]
    assert methods_of("uncertainty") == ["cross_entropy", "ldlva"]
    assert noises_of("votes") == HALF
    assert noises_of("uncertainty") == [*HALF, Noise("pair", 0.3), Noise("votes", 0.3)]
    assert EXPERIMENTS["votes"].measure == "votes"
    assert EXPERIMENTS["uncertainty"].measure == "uncertainty"


def test_each_method_is_tuned_by_one_scalar_around_its_default():
    tuned = {}
    for variant in EXPERIMENTS["tuning"].variants:
        method, *scalar = variant.settings.values()
        name = next(name for name in variant.settings if name != "method")
        assert len(scalar) == 1 and variant.setting == f"{name} {scalar[0]:g}"
        tuned.setdefault((method, name), []).append(scalar[0])
    assert [method for method, _ in tuned] == [name for name in METHODS if name != "ran"]
    user = PRESETS["frozen"]
    for (method, name), values in tuned.items():
        config = user.replace(method=method)
        groups = (config.method_settings, config.optimizer)
        default = next(getattr(group, name) for group in groups if hasattr(group, name))
        assert default in values and len(set(values)) == 3, method
    assert noises_of("tuning") == HALF


def test_the_presets_that_experiments_start_from():
    assert PRESETS["frozen"].network.frozen and PRESETS["frozen"].optimizer.epochs == 25
    assert not PRESETS["fine_tuned"].network.frozen
