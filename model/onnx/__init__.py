"""The network as ONNX graphs, split by how often each part has to run in a browser."""
