/* SPDX-License-Identifier: Apache-2.0 */
/* A file of another system, imported into a real master: profile and file of it (u8 each), then the
 * content. A dry run: everything is done and undone, so the next input finds the same master. */
#include "tests/unit/server/service/import_kit.h"

#include "tests/fuzz/fuzz.h"

static size_t profile_count(void)
{
    size_t count = 0;

    while (IMPORT_PROFILES[count].name != NULL)
        count++;
    return count;
}

static const struct import_file *file_of(const struct import_profile *profile, uint8_t number)
{
    size_t count = 0;

    while (profile->files[count].targets != NULL)
        count++;
    return &profile->files[number % count];
}

static void remove_kit(void);

static struct kit *the_kit(void)
{
    static struct kit *kit;
    void *made = NULL;

    if (kit == NULL) {
        invariant(kit_open(&made) == 0);
        kit = made;
        kit->options.is_dry_run = true;
        (void)atexit(remove_kit);
    }
    return kit;
}

static void remove_kit(void)
{
    void *kit = the_kit();

    (void)kit_close(&kit);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_over(data, size);
    struct kit *kit = the_kit();
    const struct import_profile *profile = &IMPORT_PROFILES[input_byte(&input) % profile_count()];
    const struct import_file *file = file_of(profile, input_byte(&input));
    struct kit_memory memory = {.text = input_rest(&input)};
    const struct csv_source source = {kit_read_memory, &memory};
    const struct import_report *report = NULL;
    enum result result;

    kit->problem = (struct problem){0};
    kit_begin(kit, profile);
    result = import_read(kit->import, file, "file.csv", &source, &kit->problem);
    invariant(result == RESULT_OK || result == RESULT_REFUSED);
    report = import_report(kit->import);
    invariant(report->skipped <= report->read);
    invariant(report->inserted + report->updated + report->unchanged + report->skipped <=
              report->read);
    import_destroy(kit->import);
    kit->import = NULL;
    arena_reset(&kit->arena);
    invariant(kit_number(kit, "SELECT number FROM fs_state WHERE name = 'seq'") == 0);
    return 0;
}
