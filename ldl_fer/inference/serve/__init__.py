"""Shows a network at work on this machine: `ldl-fer serve`.

server    the page, and /predict, which answers pictures by JSON; page/ has what browsers load
command   the command
"""
