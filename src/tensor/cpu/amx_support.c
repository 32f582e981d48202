/* amx_support.c - whether this process may use the tile registers of AMX.
 *
 * The processor must have them and bf16 products, the system must save them, and Linux wants to be
 * asked once per process, because a thread that uses them needs 8 KiB more to be switched. The
 * permission holds for all threads; asking again changes nothing.
 *
 * SPDX-License-Identifier: Apache-2.0 */
/* syscall. NOLINTNEXTLINE(bugprone-reserved-identifier) */
#define _DEFAULT_SOURCE
#include "tensor/cpu/cpu_internal.h"

#if defined(__x86_64__) && defined(__linux__)

#    include <cpuid.h>
#    include <sys/syscall.h>
#    include <unistd.h>

enum {
    REQUEST_PERMISSION = 0x1023, /* ARCH_REQ_XCOMP_PERM */
    TILE_DATA = 18,              /* number of the state component */
    SAVES_TILES = 3 << 17,       /* XCR0: tile configuration and data */
    HAS_XGETBV = 1 << 27,        /* leaf 1, ecx */
    HAS_BF16 = 1 << 22,          /* leaf 7, edx: products of bf16, the registers */
    HAS_TILES = 1 << 24
};

static bool system_saves_tiles(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & HAS_XGETBV) == 0) return false;
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & SAVES_TILES) == SAVES_TILES;
}

bool fc_cpu_has_amx(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
    if ((d & HAS_BF16) == 0 || (d & HAS_TILES) == 0 || !system_saves_tiles())
        return false;
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

#else

bool fc_cpu_has_amx(void)
{
    return false;
}

#endif
