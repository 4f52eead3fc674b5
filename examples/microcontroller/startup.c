/* startup.c - from reset to main() on a Cortex-M, and what main() needs of the outside world: a
 * line of text and an end, both by semihosting (Arm's "Semihosting for AArch32 and AArch64"), which
 * QEMU and debug probes serve. */
#include <stdint.h>

#include "board.h"

extern uint32_t stack_top[], data_start[], data_end[], data_image[], bss_start[], bss_end[];
int main(void);
void reset(void);

enum { SYS_WRITE0 = 0x04, SYS_EXIT_EXTENDED = 0x20, APPLICATION_EXIT = 0x20026 };

static uint32_t semihost(uint32_t operation, const void *argument)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;

    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

void board_print(const char *text)
{
    semihost(SYS_WRITE0, text);
}

void board_exit(int status)
{
    const uint32_t block[2] = {APPLICATION_EXIT, (uint32_t)status};

    semihost(SYS_EXIT_EXTENDED, block);
    for (;;)
        ;
}

/* A fault ends the program: better than to hang. */
static void fault(void)
{
    board_print("fault\n");
    board_exit(3);
}

void reset(void)
{
    /* CPACR: full access to the floating-point unit, before any of its instructions */
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20;
    __asm__ volatile("dsb\n\tisb" ::: "memory");
    for (uint32_t *to = data_start, *from = data_image; to < data_end;)
        *to++ = *from++;
    for (uint32_t *to = bss_start; to < bss_end;)
        *to++ = 0;
    board_exit(main());
}

/* The processor starts here: first stack, then the addresses of reset and of the faults. */
struct vectors {
    void *stack;
    void (*handlers[15])(void);
};

__attribute__((section(".vectors"), used)) static const struct vectors vectors = {
    stack_top, {reset, fault, fault, fault, fault, fault}};
