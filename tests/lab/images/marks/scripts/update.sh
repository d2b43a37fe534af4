#!/bin/sh
echo "update" >> /root/marks
