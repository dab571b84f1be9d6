"""How it scales: photos listed, planned into shards, made by Beam, written whole or not at all.

Beam lives in this package only. `automatic.run_automatic` is the way in; `propose.ProposeMasks`
is for people with a pipeline of their own; `shards.read_rows` reads what a run left.
"""
