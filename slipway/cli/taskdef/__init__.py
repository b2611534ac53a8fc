"""What only `slipway taskdef` needs: values that are set in a task definition."""
