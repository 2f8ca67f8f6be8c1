"""Makes the paper's tables, on your data, by one command each.

    ldl-fer experiments noise --preset=frozen --pretrained=MobileFaceNet.onnx \\
        --train_data_path=train.csv --train_image_dir=images --val_data_path=val.csv \\
        --val_image_dir=images --test_data_path=test.csv --test_image_dir=images --dataset=mine

    noise         Table 1    10, 20, 30 % of the labels flipped, all methods
    inconsistent  Table 2    trained on two annotators' labels, tested on either's
    original      Table 3    the data set as it is, all methods
    field         ours       clean, 10, 20, 30 %, 30 % pairs, 30 % by human votes; all methods
    ablation      Table 4    LDLVA's parts, one after the other; clean and 30 %
    votes         Fig. 3, 5  distributions against human votes (columns votes_*)
    uncertainty   Fig. 6     flipped labels found by lambda, beside cleanlab (frozen backbone only)
    neighbors     Fig. 7     K 1 to 32; clean and 30 %
    auxiliary     sec. 3.2   the space of neighbors: valence-arousal, landmarks (see ldl-fer
                             landmarks), both; random and label's own as marks; clean and 30 %
    tuning        ours       each method's free scalar, on validation faces; writes chosen.csv,
                             which the others take by --tuned=results/tuning/chosen.csv

Every flag of `ldl-fer train` sets what all runs have in common. A run that is done is not done
again, one that was interrupted goes on after its last epoch, and runs that two experiments share
are trained once. A run whose row is in results/NAME/runs.csv counts as done without its folder, so
that another machine goes on from the results alone. On several cores, start the same command
several times: each process takes runs that no other is at. results/NAME/ then holds runs.csv (a row
per run), summary.csv (mean, standard error, number of runs, and published numbers in a column of
their own), summary.md and figures.

Accuracies come three times, since papers differ: at the epoch that the validation set chooses
(accuracy), after the last epoch (accuracy_last), and the mean after each of the last five epochs
(accuracy_last5; SCN, RUL and EAC). In columns that end in _last all else is of the last epoch.
"""

import sys
from pathlib import Path

from absl import flags

from ldl_fer.config import command_line
from ldl_fer.config.flags import config_from_flags, define_flags, preset_table, settings_from_flags
from ldl_fer.config.help import subject
from ldl_fer.errors import InputError
from ldl_fer.experiments.tables import EXPERIMENTS

_FILLED_IN = {  # flags of ldl-fer train that a run of an experiment has from elsewhere
    "method": "what experiments vary; choose methods by --only",
    "run_dir": "made up for each run; say by --runs_dir where they go",
    "seed": "another for each run; name them by --seeds",
    "pictures": "of no use here, as experiments draw none while training; leave it out",
}


def run() -> None:
    """Starts `ldl-fer experiments`."""
    named = "the name of an experiment"
    command_line.start(main, _define_flags, __doc__, positional=named, closing=preset_table)


def main(names: list[str]) -> None:
    from ldl_fer.data.auxiliary import check_auxiliary
    from ldl_fer.data.paths import check_data, check_pretrained, is_csv

    given = flags.FLAGS
    known = ", ".join(EXPERIMENTS)
    if len(names) != 1 or names[0] not in EXPERIMENTS:
        raise InputError(f"name one experiment: {known}. See --help.")
    experiment = EXPERIMENTS[names[0]]
    for flag, cure in _FILLED_IN.items():
        if given[flag].value is not None:
            raise InputError(f"--{flag} is {cure}.")
    config = config_from_flags().replace(pictures=False)
    for flag, value in (
        ("--train_data_path", config.data.train_data_path),
        ("--test_data_path", given.test_data_path),
    ):
        if not is_csv(value):
            raise InputError(f"{flag}={value} must be an annotation CSV: its labels are changed.")
    if given.tuned:
        from ldl_fer.experiments.tuning import tuned

        experiment = tuned(experiment, given.tuned)
    try:
        seeds = tuple(int(seed) for seed in given.seeds)
    except ValueError as error:
        raise InputError(f"--seeds: {error}") from error

    from ldl_fer.experiments.data import Sets
    from ldl_fer.experiments.plan import plan, with_teachers

    runs_dir = Path(given.runs_dir) / given.dataset
    sets = Sets(
        given.dataset,
        config.data,
        given.test_data_path,
        given.test_image_dir,
        runs_dir / "data",
        given.subset,
        given.other_train_data_path,
        given.other_test_data_path,
    )
    planned = plan(experiment, sets, config, seeds, runs_dir, settings_from_flags())
    chosen = planned
    for flag, wanted, name_of in (
        ("--only", given.only, lambda one: one.variant.method),
        ("--only_noise", given.only_noise, lambda one: str(one.noise)),
    ):
        there = list(dict.fromkeys(name_of(one) for one in planned))
        unknown = [name for name in wanted if name not in there]
        if unknown:
            raise InputError(
                f"{flag}: {experiment.name} has no {', '.join(unknown)}; it has {', '.join(there)}."
            )
        chosen = [one for one in chosen if not wanted or name_of(one) in wanted]
    if not given.summarize:
        check_data(config.data.val_data_path, given.test_data_path)
        check_pretrained(config.network)
        for one in chosen:
            check_auxiliary(one.config.data, config.data.train_data_path)

    from ldl_fer.experiments.runner import check_measure, measured, run_all
    from ldl_fer.experiments.summary import (
        command_line_of,
        kept_rows,
        summarize,
        table_of,
        write_results,
    )

    folder = Path(given.results_dir) / experiment.name
    kept = kept_rows(folder)
    left = [one for one in chosen if one.run.folder.name not in kept]
    names = {one.run.folder.name for one in chosen} | kept.keys()
    shown = [one for one in planned if one.run.folder.name in names]
    waiting = [] if given.summarize else with_teachers(left, planned)
    check_measure(experiment, waiting + [one for one in shown if one.record.exists()])
    if waiting:
        run_all(waiting, experiment.name)
    runs = measured(experiment, shown, sets, kept)
    if runs.empty:
        raise InputError(f"no run of {experiment.name} is finished in {runs_dir}.")
    command = command_line_of(sys.argv[1:])
    finished = [one for one in shown if one.record.exists()]
    files = write_results(experiment, runs, folder, command, len(planned), finished)
    print(table_of(experiment, summarize(experiment, runs)))
    print(f"\n{folder}: {', '.join(files)}")


def _define_flags() -> None:
    define_flags()
    with subject("data"):
        flags.DEFINE_string(
            "test_data_path", None, "Annotation CSV of the test images.", required=True
        )
        flags.DEFINE_string(
            "test_image_dir", None, "Folder that its paths start from.", required=True
        )
        flags.DEFINE_string("dataset", "data", "Name of the data set in tables.")
        flags.DEFINE_integer("subset", 0, "Use so many training rows, drawn once; 0: all.", 0)
        flags.DEFINE_string(
            "other_train_data_path",
            "",
            "inconsistent: a second annotator's CSV, its pictures under --train_image_dir too. "
            "Empty: one random human vote a picture.",
        )
        flags.DEFINE_string("other_test_data_path", "", "inconsistent: that annotator's test set.")
    with subject("experiment"):
        flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds of noise and training, comma separated.")
        flags.DEFINE_string(
            "tuned", "", "chosen.csv of the experiment tuning: settings of methods. Empty: papers'."
        )
        flags.DEFINE_list("only", [], "Methods to run, by their names in the table; empty: all.")
        flags.DEFINE_list("only_noise", [], "Noises to run, by their names there; empty: all.")
        flags.DEFINE_string("runs_dir", "checkpoints/experiments", "Where run folders go.")
        flags.DEFINE_string("results_dir", "results", "Where tables and figures go.")
        flags.DEFINE_bool("summarize", False, "Only make tables of the runs that are finished.")
