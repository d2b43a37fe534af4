#!/bin/sh
echo "init" >> /root/marks
# What a test puts there decides how long it takes and how it ends.
[ ! -e /root/init-hook ] || . /root/init-hook
