#!/bin/sh
# Sets the stage: makes a copy of the machine in which every file can be written and nothing of the machine changes, with
# some files more, and becomes its first process. Has to be run in namespaces of its own.
set -eu
files=$1

# What is written goes to memory, and with the stage.
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
cd /mnt/root
mount --rbind /dev dev
mount --rbind /sys sys
mount -t proc proc proc
# Nothing that the machine's own daemons and users keep is seen. These are no overlays, so that clients can mount some.
for folder in root run tmp var/cache var/lib var/log; do
  mount -t tmpfs tmpfs "$folder"
done
mkdir var/log/stage run/stage
rm -rf etc/containerd etc/containers etc/docker etc/larder
cp -R "$files/." .
# Not at loopback addresses, of which docker takes any certificate.
ip link set lo up
ip address add 192.0.2.0/24 dev lo
pivot_root . mnt
cd /
umount -l /mnt

echo 'the stage is set'
# Somebody has to wait for those whose parents have ended.
sleep infinity &
wait
