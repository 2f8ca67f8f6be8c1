"""Networks: images [B, H, W, 3] -> (features [B, V], logits [B, C]).

network              `build_network`: backbone and head as the settings say; the registry BACKBONES
head                 dropout and logits, or the head of a frozen backbone; the parts of a network
resnet, small_cnn, mobilefacenet         backbones
pooled_maps          MobileFaceNet's maps as features for the head of a frozen backbone
mobilefacenet_onnx   MobileFaceNet's weights out of an ONNX file
keras_backbone       a backbone out of a Keras file; channels_last turns it for the CPU
precision            the same backbone for half precision or shared batch statistics
model_files          which files from elsewhere are safe to load
saved_model          a network as a SavedModel that needs neither this package nor Keras

Nothing is imported here: an export is loaded by model_files and saved_model, without Keras.
"""
