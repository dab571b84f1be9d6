"""The last step of the public repository's exported decoder: logits to masks of the photo's size.

Names, order and meaning of inputs and outputs are those of that export (`image_embeddings`,
`point_coords`, `point_labels`, `mask_input`, `has_mask_input`, `orig_im_size`; `masks`,
`iou_predictions`, `low_res_masks`), so front ends written for it need no change.
"""

from __future__ import annotations

import os
from pathlib import Path

import onnx
from onnx import TensorProto, helper, parser

_STEPS = """
<ir_version: 10, opset_import: ["": 20]>
upsampling (float[1, masks, h, w] low_res_masks, float[2] orig_im_size)
    => (float[1, masks, height, width] masks)
<
    int64[2] padded_hw = {%(side)d, %(side)d},
    float side = {%(side)d.0},
    float half = {0.5},
    int64[2] from = {0, 0},
    int64[2] axes = {2, 3}
>
{
    padded = Resize <mode = "linear", coordinate_transformation_mode = "half_pixel",
        axes = [2, 3]> (low_res_masks, , , padded_hw)
    longest = ReduceMax <keepdims = 1> (orig_im_size)
    scale = Div(side, longest)
    scaled = Mul(orig_im_size, scale)
    shifted = Add(scaled, half)
    rounded = Floor(shifted)
    scaled_hw = Cast <to = 7> (rounded)
    cut = Slice(padded, from, scaled_hw, axes)
    photo_hw = Cast <to = 7> (orig_im_size)
    masks = Resize <mode = "linear", coordinate_transformation_mode = "half_pixel",
        axes = [2, 3]> (cut, , , photo_hw)
}
"""


def add_upsampling(path: Path, input_size: int) -> None:
    """Adds the input `orig_im_size` (height, width) and the output `masks` to a decoder's graph."""
    model = onnx.load(os.fspath(path))
    steps = parser.parse_model(_STEPS % {"side": input_size}).graph
    graph = model.graph
    graph.input.append(helper.make_tensor_value_info("orig_im_size", TensorProto.FLOAT, [2]))
    graph.initializer.extend(steps.initializer)
    graph.node.extend(steps.node)
    outputs = [steps.output[0], *graph.output]
    del graph.output[:]
    graph.output.extend(outputs)
    onnx.checker.check_model(model)
    onnx.save(model, os.fspath(path))
