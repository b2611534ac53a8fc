"""What a month of deployments costs, with Slipway and beside it: prices, and a model on them.

`prices.py` has every price, `following.py` what a rollout costs that its row owns, `model.py` what
a deployment and a month cost, `engines.py` what each choice of `builders.when` does,
`configured.py` what is counted of a configuration. `slipway cost` and the benchmark page
(`bench/cost.py`) say the same.
"""
