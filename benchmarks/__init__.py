"""What LDLVA costs beside plain training: `python -m benchmarks`.

turns         variants of one thing, each run a little, in turn; medians and ratios
rows          a comparison and its target
made_up_set   pictures and annotations of any number, made quickly
steps, input_rate, inference, size     what is measured
sections      all of it in one go
report        the machine, the table, the JSON
"""
