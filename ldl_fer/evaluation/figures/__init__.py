"""Draws the paper's Figures 3 to 6 from a run.

figures   chooses faces and numbers; `ldl_fer.plots` draws them
command   `ldl-fer figures`
"""
