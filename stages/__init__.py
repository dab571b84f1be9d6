"""What is done to masks: records, schema, RLE, prompts, gates, NMS, nesting, and the stages.

Plain functions on plain data: no torch, no Beam, no network.
"""
