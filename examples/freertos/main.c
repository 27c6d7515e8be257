/* Two tasks of FreeRTOS without preemption: a sensor feeds a queue, and an inference yields between its steps. */

#include <stdio.h>
#include <stdlib.h>

#include "FreeRTOS.h"
#include "queue.h"
#include "task.h"

#include "digits.h"
#include "samples.h"

/* Instructions between two yields: about a millisecond at 25 MHz. */
#define BUDGET 20000
#define STACK_WORDS 1024

static _Alignas(DIGITS_ARENA_ALIGN) unsigned char arena[DIGITS_ARENA_BYTES];
static QueueHandle_t queue;
static int inferring, turns_between_steps;

static void sense(void *unused)
{
    (void)unused;
    for (int sample = 0;; sample = (sample + 1) % SAMPLES) {
        const float *reading = samples[sample];
        while (xQueueSend(queue, &reading, 0) != pdTRUE) {
            turns_between_steps += inferring;
            taskYIELD();
        }
    }
}

static int infer(const float *reading)
{
    int best = 0;
    for (int i = 0; i < DIGITS_INPUT_0_ELEMENTS; i++) {
        digits_input_0()[i] = digits_input_0_quantise(reading[i]);
    }
    inferring = 1;
    while (digits_step(BUDGET) == DIGITS_PENDING) {
        taskYIELD();
    }
    inferring = 0;
    for (int i = 1; i < DIGITS_OUTPUT_0_ELEMENTS; i++) {
        best = digits_output_0()[i] > digits_output_0()[best] ? i : best;
    }
    return best;
}

static void classify(void *unused)
{
    (void)unused;
    for (int sample = 0; sample < SAMPLES; sample++) {
        const float *reading;
        xQueueReceive(queue, &reading, portMAX_DELAY);
        printf("%d", infer(reading));
    }
    printf("\nthe sensor ran between the steps of an inference: %s\n", turns_between_steps > SAMPLES ? "yes" : "no");
    exit(0);
}

int main(void)
{
    const digits_memory memory = {arena, sizeof arena};
    if (digits_init(&memory) != DIGITS_DONE) {
        return 1;
    }
    queue = xQueueCreate(2, sizeof(const float *));
    xTaskCreate(sense, "sensor", STACK_WORDS, NULL, 1, NULL);
    xTaskCreate(classify, "inference", STACK_WORDS, NULL, 1, NULL);
    vTaskStartScheduler();
    return 1;
}
