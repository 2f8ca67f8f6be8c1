"""Measures the cost of LDLVA beside plain training: `python -m benchmarks`.

steps         training steps
input_rate    the input pipeline
inference     evaluation and the exported model
size          a made-up AffectNet, from CSV to training
timing        runs variants in turn; medians, ratios and their targets
made_up_set   makes pictures and annotations of any number, quickly
report        runs the sections; the machine, the table, the JSON
soak          `python -m benchmarks.soak`: does memory grow?
memory        the memory of this process; memory_watch notes it over a training
"""
