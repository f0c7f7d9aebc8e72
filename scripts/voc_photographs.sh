#!/bin/bash
# The real-photograph table of docs/results.md: trains a detector from boxes, asks it for attribution
# maps of objects it was not trained on, makes masks of them under both presets, and compares.
#
#   scripts/voc_photographs.sh DATA WEIGHTS OUT
#
# DATA     a folder in PASCAL VOC layout, with lists train_aug and Segmentation/val
# WEIGHTS  an ImageNet ResNet-50 of the MSRA flavour (.pth, .pkl or .safetensors)
# OUT      folder for everything that is made; what is there already is gone on with
#
# Settings, with their defaults: EPOCHS=20 OBJECTS=60 THREADS=0 (all cores).
set -eu
if [ $# != 3 ]; then sed -n '2,12s/^# \{0,1\}//p' "$0" >&2; exit 1; fi
data=$1 weights=$2 out=$3
epochs=${EPOCHS:-20} objects=${OBJECTS:-60} threads=${THREADS:-0}
classes=cat,cow,dog,horse,sheep,person
bbam="$(dirname "$0")/../build/bbam"
mkdir -p "$out"

if [ ! -f "$out/detector/detector.safetensors" ]; then
  "$bbam" train detector --data "$data" --split train_aug --classes $classes --init "$weights" \
    --out "$out/detector" --resume --epochs "$epochs" --batch 2 --lr 0.02 --warmup 200 \
    --short-sides 160,192,224,256,288,320,352,384 --test-short-side 320 --long-side 533 \
    --anchor-sizes 16,32,64,128,256 --rois-per-image 128 --checkpoint-every 100 --threads "$threads"
fi
if [ ! -f "$out/detections/run.json" ]; then
  "$bbam" detect --weights "$out/detector/detector.safetensors" --data "$data" --split Segmentation/val \
    --out "$out/detections" --threads "$threads"
fi
for preset in authors paper; do
  "$bbam" pseudo-label --weights "$out/detector/detector.safetensors" \
    --data "$data" --split Segmentation/val \
    --classes $classes --objects "$objects" --objects-seed 1 --preset $preset --label $preset \
    --out "$out/labels-$preset" --examples 12 --threads "$threads"
  "$bbam" study "$out/labels-$preset" --data "$data" --split Segmentation/val --classes $classes \
    --out "$out/study-$preset" --threads "$threads"
done
"$bbam" report "$out"
