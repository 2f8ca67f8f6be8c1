"""Makes labels wrong on purpose, and records how: `ldl-fer noise`.

kinds        a pure function of arrays for each kind of noise; read by `add`
add          a kind of noise for annotations; read by the command, the demo and the experiments
label_list   labels from a file as other papers publish them; read by the command. Has also the
             column of clean labels, which the demo and the experiments read
"""
