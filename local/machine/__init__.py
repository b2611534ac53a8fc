"""A build host that is a machine: systemd as its first process, booted from an image on a disk.

`image` makes what an AMI is, `disk` what a volume is, `keeper` is the hypervisor of one machine:
power on, the way to the emulator, power off, and what a pulled plug leaves behind.
"""
