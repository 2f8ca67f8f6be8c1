"""Networks: images [B, H, W, 3] -> (features [B, V], logits [B, C]).

network              `build_network`: backbone and head as the settings say; the registry BACKBONES
head                 dropout and logits, or the head of a frozen backbone; the parts of a network
resnet, small_cnn, mobilefacenet         backbones
torch_resnet         ResNet-18 and -50 as torchvision has them
torch_files          tensors of .pth and .safetensors files, read as data
faceres              faceres-deep, and its weights out of an ONNX file
pooled_maps          a backbone's maps as features for the head of a frozen one
mobilefacenet_onnx   MobileFaceNet's weights out of an ONNX file
onnx_twins           constants of an ONNX file, and that it answers as our layers do
keras_backbone       a backbone out of a Keras file; channels_last turns it for the CPU
precision            the same backbone for half precision or shared batch statistics
model_files          which files from elsewhere are safe to load
saved_model          a network as a SavedModel that needs neither this package nor Keras

Nothing is imported here: an export is loaded by model_files and saved_model, without Keras.
"""
