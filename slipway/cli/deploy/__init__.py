"""What only `slipway deploy` needs: its plan, the pipeline lock, its report, its shorthand."""
