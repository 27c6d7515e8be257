#!/bin/sh
# run.sh [cortex-m4|cortex-m33]: compiles the digits model to a C library, links it into firmware and runs that.
set -eu
cd "$(dirname "$0")"
target=${1:-cortex-m4}
out=${OUT:-out}/$target
case $target in
    cortex-m4) machine=mps2-an386 memories=mps2.ld ;;
    cortex-m33) machine=mps2-an505 memories=mps2-an505.ld ;;
esac
mkdir -p "$out"
"${RASBORA:-rasbora}" compile ../digits/digits.tflite --target "$target" --emit c -o "$out/digits" > /dev/null
sh ../digits/samples.sh > "$out/samples.h"
arm-none-eabi-gcc -mcpu="$target" -mthumb -mfloat-abi=hard -O2 -Wall -Wextra -Wl,--gc-sections \
    --specs=rdimon.specs -nostartfiles -L ../boards -T ../boards/$memories -I "$out" -I "$out/digits/include" \
    main.c ../boards/arm.c "$out/digits/lib/libdigits.a" -o "$out/firmware.elf"
exec qemu-system-arm -M $machine -display none -serial none -monitor none \
    -semihosting-config enable=on,target=native -kernel "$out/firmware.elf"
