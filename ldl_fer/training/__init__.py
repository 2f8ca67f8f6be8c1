"""One training, from settings to run folder.

command        `ldl-fer train`
train          a training from beginning to end
checks         settings, machines and run folder, before it begins
devices        strategies, and datasets spread over replicas
build          settings -> network, method, optimizers
fit            Keras' fit, from any step on
callbacks      progress, curves, pictures, the best network
state          checkpoints that a run goes on from
interruption   saving in time: signals, intervals, a loss that is no number
run            the run folder
samples        samples.csv
"""
