#!/bin/sh
# run.sh: builds FreeRTOS, two tasks and the digits model for a Cortex-M4, and runs them on the emulated board.
set -eu
cd "$(dirname "$0")"
out=${OUT:-out}
mkdir -p "$out"
"${RASBORA:-rasbora}" compile ../digits/digits.tflite --target cortex-m4 --emit c -o "$out/digits" > /dev/null
sh ../digits/samples.sh > "$out/samples.h"
crate=$(cargo metadata --locked --format-version 1 | grep -o '"manifest_path":"[^"]*freertos-next[^"]*"' | cut -d '"' -f 4)
kernel=$(dirname "$crate")/FreeRTOS-Kernel
port=$kernel/portable/GCC/ARM_CM4F
arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb -mfloat-abi=hard -O2 -Wall -Wno-unused-variable -ffunction-sections -Wl,--gc-sections \
    --specs=rdimon.specs -nostartfiles -L ../boards -T ../boards/mps2.ld \
    -I . -I "$out" -I "$out/digits/include" -isystem "$kernel/include" -isystem "$port" \
    main.c ../boards/arm.c "$kernel/tasks.c" "$kernel/queue.c" "$kernel/list.c" "$kernel/portable/MemMang/heap_4.c" \
    "$port/port.c" "$out/digits/lib/libdigits.a" -o "$out/firmware.elf"
exec qemu-system-arm -M mps2-an386 -display none -serial none -monitor none \
    -semihosting-config enable=on,target=native -kernel "$out/firmware.elf"
