#!/bin/sh
# run.sh: compiles the digits model to a C library, links it into RISC-V firmware without a C library and runs that.
set -eu
cd "$(dirname "$0")"
out=${OUT:-out}
mkdir -p "$out"
"${RASBORA:-rasbora}" compile ../digits/digits.tflite --target rv32imac --emit c -o "$out/digits" > /dev/null
sh ../digits/samples.sh > "$out/samples.h"
riscv64-unknown-elf-gcc -march=rv32imac -mabi=ilp32 -O2 -Wall -Wextra -ffreestanding -nostdlib -Wl,--gc-sections \
    -L ../boards -T ../boards/riscv-virt.ld -I ../boards -I "$out" -I "$out/digits/include" \
    main.c ../boards/riscv.c "$out/digits/lib/libdigits.a" -lgcc -o "$out/firmware.elf"
exec qemu-system-riscv32 -M virt -bios none -cpu rv32 -display none -serial none -monitor none \
    -chardev stdio,id=console -semihosting-config enable=on,target=native,chardev=console -kernel "$out/firmware.elf"
