"""Repeats the paper's tables and figures on any data set.

tables     what each experiment varies, measures and shows; a new one goes there
data       its data sets: labels made wrong or doubled
runner     plans, trains and measures its runs
measures   numbers of a finished run
summary    means, standard errors, tables and figures
command    `ldl-fer experiments`
"""
