"""Trains LDLVA, or another --method: the same as `ldl-fer train`."""

from ldl_fer.training.command import run

if __name__ == "__main__":
    run()
