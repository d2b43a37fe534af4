#!/bin/sh
echo "clean" >> /root/marks
