"""Evaluates the network of a run: the same as `ldl-fer evaluate`."""

from ldl_fer.evaluation.command import run

if __name__ == "__main__":
    run()
