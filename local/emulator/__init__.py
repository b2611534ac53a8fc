"""The AWS emulator of the local run: ministack with Slipway's extension in its process."""
