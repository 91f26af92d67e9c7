"""A model for elsewhere: ONNX and LiteRT, float and int8, each run and compared with Keras."""
