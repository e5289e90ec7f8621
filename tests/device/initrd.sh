#!/bin/busybox sh
# The arm64 board's first program: loads the kernel's modules and goes on with the disk (tests/device/kernel-arm64).
busybox=/bin/busybox
$busybox mount -t devtmpfs dev /dev
$busybox mount -t proc proc /proc
for module in /modules/*; do $busybox insmod "$module"; done
until [ -b /dev/vda ]; do $busybox sleep 0.1; done
$busybox mount -t ext4 /dev/vda /disk
$busybox mount --move /dev /disk/dev
$busybox mount --move /proc /disk/proc
exec $busybox switch_root /disk /sbin/init
