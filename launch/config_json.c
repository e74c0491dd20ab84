// SPDX-License-Identifier: Apache-2.0
/*
 * The VM's configuration as JSON: Cloud Hypervisor's VmConfig (its vmm/src/api/openapi), as tables.
 * Of what it has and Bawn has not, the values that change nothing are taken, for clients that send
 * every key; the others are refused with what is to be done instead. Trusts nothing of the text.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "bawn/snp.h"
#include "common/bytes.h"
#include "launch/json.h"
#include "launch/launch.h"

#define PATH_BYTES (PATH_MAX - 1)
#define ID_BYTES 64
#define SOCKET_BYTES 107 /* unix(7) */

/* Rows: a key and where it goes, in the structure of the table. */
#define STRING(key, type, member, least, most, ...)                                          \
    {                                                                                        \
        .name = (key), .kind = BAWN_JSON_STRING, BAWN_JSON_AT(type, member), .min = (least), \
        .max = (most), __VA_ARGS__                                                           \
    }
#define FILE_PATH(key, type, member, ...) STRING(key, type, member, 1, PATH_BYTES, __VA_ARGS__)
#define ID(type, member) STRING("id", type, member, 1, ID_BYTES, )
#define BOOL(key, type, member, ...)                                                   \
    {                                                                                  \
        .name = (key), .kind = BAWN_JSON_BOOL, BAWN_JSON_AT(type, member), __VA_ARGS__ \
    }
#define NUMBER(key, type, member, least, most, ...)                                          \
    {                                                                                        \
        .name = (key), .kind = BAWN_JSON_NUMBER, BAWN_JSON_AT(type, member), .min = (least), \
        .max = (most), __VA_ARGS__                                                           \
    }
#define NAME(key, type, member, text, ...)                                                  \
    {                                                                                       \
        .name = (key), .kind = BAWN_JSON_NAME, BAWN_JSON_AT(type, member), .words = (text), \
        __VA_ARGS__                                                                         \
    }
#define OTHER(key, getter, putter, json)                                                          \
    {                                                                                             \
        .name = (key), .kind = BAWN_JSON_OTHER, .get = (getter), .put = (putter), .words = (json) \
    }
#define OBJECT(key, tab, offset)                                                 \
    {                                                                            \
        .name = (key), .kind = BAWN_JSON_OBJECT, .table = &(tab), .at = (offset) \
    }
#define LIST(key, tab, type, member, counter, most)                                           \
    {                                                                                         \
        .name = (key), .kind = BAWN_JSON_LIST, .table = &(tab), .at = offsetof(type, member), \
        .count = offsetof(type, counter), .max = (most)                                       \
    }
/* Checked, and without consequence. */
#define HINT(key, least, most, text)                                                      \
    {                                                                                     \
        .name = (key), .kind = BAWN_JSON_NUMBER, .at = BAWN_JSON_NOWHERE, .min = (least), \
        .max = (most), .help = (text)                                                     \
    }
#define EITHER(key, text)                                                              \
    {                                                                                  \
        .name = (key), .kind = BAWN_JSON_BOOL, .at = BAWN_JSON_NOWHERE, .help = (text) \
    }
/* Not served but for these values. */
#define ONLY(key, values, text)                                                  \
    {                                                                            \
        .name = (key), .kind = BAWN_JSON_FIXED, .words = (values), .why = (text) \
    }
#define NEVER "null"
#define NONE "null|[]"
#define NO_IOMMU ONLY("iommu", "false", "there is no virtio-iommu; leave it out")
#define NO_SEGMENT ONLY("pci_segment", "0", "there is one PCI segment, 0")
#define NO_SLOT ONLY("pci_device_id", NEVER, "Bawn chooses the slots; leave it out")
#define NO_VHOST ONLY("vhost_user", "false", "vhost-user devices are not; leave it out")
#define NO_VHOST_SOCKET ONLY("vhost_socket", NEVER, "vhost-user devices are not; leave it out")
#define PCI_KEYS NO_IOMMU, NO_SEGMENT, NO_SLOT
/* Of devices that come and go: a snapshot has them where they were. */
#define PCI_SLOT_KEYS(type, least, most)                                         \
    NO_IOMMU, NO_SEGMENT,                                                        \
        NUMBER("pci_device_id", type, slot, least, most, .hidden_if_zero = true, \
               .help = "its slot; of themselves they take the first that is free")

/* ---- payload ---- */

#define CFG struct bawn_vm_config

static const char *get_host_data(void *object, const json_t *v)
{
    CFG *cfg = object;

    return json_is_string(v) && bawn_hex_parse(json_string_value(v), cfg->snp.host_data,
                                               sizeof(cfg->snp.host_data))
               ? NULL
               : "must be 64 hexadecimal digits";
}

static bool put_host_data(const void *object, json_t **v)
{
    static const uint8_t none[BAWN_SNP_HOST_DATA_SIZE];
    char text[2 * BAWN_SNP_HOST_DATA_SIZE + 1];
    const CFG *cfg = object;

    if (!memcmp(cfg->snp.host_data, none, sizeof(none)))
        return true;
    hex_print(cfg->snp.host_data, sizeof(cfg->snp.host_data), text);
    *v = json_string(text);
    return *v;
}

static const struct bawn_json_field payload_keys[] = {
    FILE_PATH("kernel", CFG, kernel, .help = "a bzImage or an ELF image with a PVH entry"),
    FILE_PATH("initramfs", CFG, initrd, .help = "initial RAM disk"),
    STRING("cmdline", CFG, cmdline, 0, 0, .help = "the kernel's command line"),
    FILE_PATH("firmware", CFG, firmware, .help = "the shim of a confidential machine"),
    OTHER("host_data", get_host_data, put_host_data,
          "{\"type\":\"string\",\"pattern\":\"^[0-9a-fA-F]{64}$\"}"),
    ONLY("igvm", NEVER,
         "IGVM files are not read; name kernel, initramfs and cmdline, and the shim as firmware"),
};
static const struct bawn_json_table payload = { BAWN_JSON_TABLE(payload_keys) };

/* ---- cpus, memory ---- */

/* Clients name their host's processors: a machine has no more than it can. */
static const char *get_max_vcpus(void *object, const json_t *v)
{
    CFG *cfg = object;
    json_int_t n = json_integer_value(v);

    if (!json_is_integer(v) || n < (json_int_t)cfg->vcpus)
        return "must be a number, boot_vcpus or more";
    cfg->max_vcpus = n < BAWN_MAX_VCPUS ? (unsigned)n : BAWN_MAX_VCPUS;
    return NULL;
}

static bool put_max_vcpus(const void *object, json_t **v)
{
    const CFG *cfg = object;

    *v = json_integer((json_int_t)bawn_vm_config_max_vcpus(cfg));
    return *v;
}

#define ONE_PACKAGE "each vCPU is a core of one package; leave topology out"

static const struct bawn_json_field topology_keys[] = {
    HINT("cores_per_die", 1, UINT16_MAX, "a hint, of no effect"),
    ONLY("threads_per_core", "1", ONE_PACKAGE),
    ONLY("dies_per_package", "1", ONE_PACKAGE),
    ONLY("packages", "1", ONE_PACKAGE),
};
static const struct bawn_json_table topology = { BAWN_JSON_TABLE(topology_keys) };

static const struct bawn_json_field features_keys[] = {
    ONLY("amx", "false", "AMX is not given to guests; leave it out"),
};
static const struct bawn_json_table features = { BAWN_JSON_TABLE(features_keys) };

static const struct bawn_json_field cpus_keys[] = {
    NUMBER("boot_vcpus", CFG, vcpus, 1, BAWN_MAX_VCPUS, ),
    OTHER("max_vcpus", get_max_vcpus, put_max_vcpus, "{\"type\":\"integer\",\"minimum\":1}"),
    OBJECT("topology", topology, 0),
    ONLY("kvm_hyperv", "false", "there are no Hyper-V enlightenments; leave it out"),
    HINT("max_phys_bits", 38, 64, "of no effect: all of the machine is below 2^37"),
    EITHER("nested", "no guest has a hypervisor's instructions, whatever this says"),
    ONLY("affinity", NONE, "vCPUs are not pinned by Bawn; use taskset or cgroups"),
    OBJECT("features", features, 0),
    ONLY("core_scheduling", "\"Off\"", "vCPU threads have no cookies; leave it out"),
};
static const struct bawn_json_table cpus = { BAWN_JSON_TABLE(cpus_keys) };

#define NO_HOTPLUG "memory is not added to a running machine; see balloon"

static const struct bawn_json_field memory_keys[] = {
    NUMBER("size", CFG, memory, BAWN_MEM_MIN, BAWN_MEM_MAX, .help = "bytes, a multiple of 2 MiB"),
    EITHER("shared", "guest memory is always a file that processes share"),
    BOOL("hugepages", CFG, hugepages, .help = "from the host's hugetlbfs pool"),
    NUMBER("hugepage_size", CFG, hugepage_size, 0, 1u << 30, .hidden_if_zero = true,
           .help = "2 MiB or 1 GiB, in bytes"),
    BOOL("thp", CFG, thp, .help = "transparent huge pages, where the host has them"),
    ONLY("prefault", "false", "memory comes when the guest touches it; leave it out"),
    ONLY("mergeable", "false", "guests share no pages with others; leave it out"),
    ONLY("reserve", "false", "swap is not reserved; leave it out"),
    ONLY("hotplug_method", "\"Acpi\"|\"VirtioMem\"", NO_HOTPLUG),
    HINT("hotplug_size", 0, INT64_MAX, "a ceiling, of which nothing is served: " NO_HOTPLUG),
    ONLY("hotplugged_size", "0|null", NO_HOTPLUG),
    ONLY("zones", NONE, "guest memory is one piece; use size"),
};
static const struct bawn_json_table memory = { BAWN_JSON_TABLE(memory_keys) };

/* ---- disks ---- */

#define RATE struct bawn_rate_config

static bool rate_there(const void *object)
{
    return ((const RATE *)object)->size;
}

static const struct bawn_json_field rate_keys[] = {
    NUMBER("size", RATE, size, 1, BAWN_RATE_MAX, .needed = true),
    NUMBER("one_time_burst", RATE, burst, 0, BAWN_RATE_MAX, .hidden_if_zero = true),
    NUMBER("refill_time", RATE, refill, 1, BAWN_RATE_MAX, .needed = true, .help = "milliseconds"),
};
static const struct bawn_json_table rate = { BAWN_JSON_TABLE(rate_keys), .there = rate_there };

#define DISK struct bawn_disk_config

static const struct bawn_json_field rates_keys[] = {
    OBJECT("bandwidth", rate, offsetof(DISK, bytes)),
    OBJECT("ops", rate, offsetof(DISK, ops)),
};
static const struct bawn_json_table rates = { BAWN_JSON_TABLE(rates_keys) };

#define FORMATS "Raw|Qcow2"
#define OTHER_FORMATS                            \
    .refused = "FlatVmdk|FixedVhd|Vhdx|Unknown", \
    .why = "Raw and Qcow2 are; qemu-img convert makes one"

static const struct bawn_json_field disk_keys[] = {
    FILE_PATH("path", DISK, path, .needed = true),
    BOOL("readonly", DISK, readonly, ),
    NAME("image_type", DISK, format, FORMATS, OTHER_FORMATS),
    FILE_PATH("backing", DISK, backing, .help = "of a Qcow2 image"),
    NAME("backing_type", DISK, backing_format, FORMATS, .hidden_if_zero = true, OTHER_FORMATS),
    OBJECT("rate_limiter_config", rates, 0),
    BOOL("io_uring", DISK, uring, .hidden_if_zero = true,
         .help = "of a Raw image, by an io_uring, where the host permits one; by default not"),
    ID(DISK, id),
    HINT("num_queues", 1, 64, "a hint, of no effect: a disk has one"),
    HINT("queue_size", 1, 32768, "a hint, of no effect"),
    ONLY("direct", "false", "the host's page cache is used; leave it out"),
    EITHER("sparse", "what the guest discards is given back, whatever this says"),
    ONLY("backing_files", "false", "name the backing file as backing"),
    ONLY("serial", NEVER, "disks have no serial numbers; leave it out"),
    ONLY("lock_granularity", "\"Full\"|\"ByteRange\"", "a disk is locked as a whole"),
    ONLY("rate_limit_group", NEVER, "each disk has its own rate_limiter_config"),
    ONLY("disable_io_uring", "false", "io_uring is used where the host has it; leave it out"),
    ONLY("disable_aio", "false", "of what io_uring replaces none is used; leave it out"),
    ONLY("queue_affinity", NONE, "queues are not pinned; leave it out"),
    NO_VHOST,
    NO_VHOST_SOCKET,
    PCI_SLOT_KEYS(DISK, BAWN_SLOT_DISK, BAWN_SLOT_NET - 1),
};
static const struct bawn_json_table disks = { BAWN_JSON_TABLE(disk_keys), .size = sizeof(DISK) };

/* ---- net ---- */

#define NET struct bawn_net_config

static const char *get_fds(void *object, const json_t *v)
{
    NET *net = object;
    size_t n = json_array_size(v);

    if (!n || n > BAWN_NET_PAIRS)
        return "must be an array of one to four descriptors' numbers";
    for (size_t i = 0; i < n; i++) {
        const json_t *fd = json_array_get(v, i);

        if (!json_is_integer(fd) || json_integer_value(fd) < 0 || json_integer_value(fd) > INT_MAX)
            return "must be descriptors' numbers";
        net->fd[i] = (int)json_integer_value(fd);
    }
    net->nr_fds = (unsigned)n;
    return NULL;
}

static bool put_fds(const void *object, json_t **v)
{
    const NET *net = object;
    json_t *fds = net->nr_fds ? json_array() : NULL;

    for (unsigned i = 0; fds && i < net->nr_fds; i++) {
        if (json_array_append_new(fds, json_integer(net->fd[i]))) {
            json_decref(fds);
            fds = NULL;
        }
    }
    *v = fds;
    return fds || !net->nr_fds;
}

static const char *get_mac(void *object, const json_t *v)
{
    NET *net = object;

    net->has_mac = json_is_string(v) && bawn_mac_parse(json_string_value(v), net->mac);
    return net->has_mac ? NULL : "must be one station's address, such as \"02:00:00:00:00:01\"";
}

static bool put_mac(const void *object, json_t **v)
{
    const NET *net = object;

    if (!net->has_mac)
        return true;
    *v = json_sprintf("%02x:%02x:%02x:%02x:%02x:%02x", net->mac[0], net->mac[1], net->mac[2],
                      net->mac[3], net->mac[4], net->mac[5]);
    return *v;
}

#define HOST_SIDE "the host's side of the tap is the host's to set up (ip address, ip link)"
#define OFFLOADS "offloads are the driver's to switch off (ethtool -K, in the guest)"

static const struct bawn_json_field net_keys[] = {
    STRING("tap", NET, tap, 1, 15, .help = "an interface's name"),
    FILE_PATH("socket", NET, socket, .help = "a stream socket such as passt's"),
    OTHER("fds", get_fds, put_fds,
          "{\"type\":\"array\",\"items\":{\"type\":\"integer\",\"minimum\":0,"
          "\"maximum\":2147483647},\"minItems\":1,\"maxItems\":4}"),
    OTHER("mac", get_mac, put_mac,
          "{\"type\":\"string\",\"pattern\":\"^[0-9a-fA-F][02468aceACE](:[0-9a-fA-F]{2}){5}$\","
          "\"not\":{\"const\":\"00:00:00:00:00:00\"}}"),
    NUMBER("mtu", NET, mtu, BAWN_NET_MTU_MIN, UINT16_MAX, .hidden_if_zero = true),
    ID(NET, id),
    NUMBER("num_queues", NET, queues, 2, 64, .hidden_if_zero = true,
           .help = "of a tap, two for each pair; there are at most four pairs"),
    HINT("queue_size", 1, 32768, "a hint, of no effect"),
    ONLY("ip", "\"192.168.249.1\"", HOST_SIDE),
    ONLY("mask", "\"255.255.255.0\"", HOST_SIDE),
    ONLY("host_mac", NEVER, HOST_SIDE),
    ONLY("offload_tso", "true", OFFLOADS),
    ONLY("offload_ufo", "true", OFFLOADS),
    ONLY("offload_csum", "true", OFFLOADS),
    ONLY("rate_limiter_config", NEVER, "the host limits a tap (tc qdisc); leave it out"),
    ONLY("vhost_mode", "\"Client\"", "vhost-user devices are not; leave it out"),
    NO_VHOST,
    NO_VHOST_SOCKET,
    PCI_SLOT_KEYS(NET, BAWN_SLOT_NET, BAWN_SLOT_END - 1),
};
static const struct bawn_json_table nets = { BAWN_JSON_TABLE(net_keys), .size = sizeof(NET) };

/* ---- Other devices ---- */

#define STREAM struct bawn_stream_config
#define STREAM_KEYS                                                                 \
    NAME("mode", STREAM, mode, "Off|Null|Tty|File|Pty|Socket", .needed = true),     \
        FILE_PATH("file", STREAM, path, .help = "of mode File, or where a Pty is"), \
        STRING("socket", STREAM, socket, 1, SOCKET_BYTES,                           \
               .help = "of mode Socket: where to listen")

static const struct bawn_json_field serial_keys[] = { STREAM_KEYS, NO_IOMMU };
static const struct bawn_json_table serial = { BAWN_JSON_TABLE(serial_keys) };

static const struct bawn_json_field console_keys[] = { STREAM_KEYS, ID(STREAM, id), PCI_KEYS };
static const struct bawn_json_table console = { BAWN_JSON_TABLE(console_keys) };

static const struct bawn_json_field rng_keys[] = {
    NAME("src", CFG, rng, "|/dev/urandom", .refused = "/dev/random|/dev/hwrng",
         .why = "entropy is the host kernel's: /dev/urandom, or \"\" for no device",
         .needed = true),
    ID(CFG, rng_id),
    PCI_KEYS,
};
static const struct bawn_json_table rng = { BAWN_JSON_TABLE(rng_keys) };

#define BALLOON struct bawn_balloon_config

static void begin_balloon(void *object)
{
    ((BALLOON *)object)->on = true;
}

static bool balloon_there(const void *object)
{
    return ((const BALLOON *)object)->on;
}

static const struct bawn_json_field balloon_keys[] = {
    NUMBER("size", BALLOON, size, 0, BAWN_MEM_MAX, .needed = true, .help = "bytes, in 4096s"),
    BOOL("free_page_reporting", BALLOON, reporting, ),
    EITHER("deflate_on_oom", "the guest may always take memory back before it runs out of it"),
    ID(BALLOON, id),
    ONLY("statistics", "false", "the guest's statistics are not asked for; leave it out"),
    PCI_KEYS,
};
static const struct bawn_json_table balloon = { BAWN_JSON_TABLE(balloon_keys),
                                                .begin = begin_balloon, .there = balloon_there };

#define VSOCK struct bawn_vsock_config

static bool vsock_there(const void *object)
{
    return ((const VSOCK *)object)->cid;
}

static const struct bawn_json_field vsock_keys[] = {
    NUMBER("cid", VSOCK, cid, BAWN_VSOCK_CID_MIN, UINT32_MAX - 1, .needed = true),
    FILE_PATH("socket", VSOCK, socket, .needed = true),
    ID(VSOCK, id),
    PCI_KEYS,
};
static const struct bawn_json_table vsock = { BAWN_JSON_TABLE(vsock_keys), .there = vsock_there };

static const struct bawn_json_field tpm_keys[] = {
    FILE_PATH("socket", CFG, tpm, .needed = true),
};
static const struct bawn_json_table tpm = { BAWN_JSON_TABLE(tpm_keys) };

/* ---- platform ---- */

static const char *get_snp_policy(void *object, const json_t *v)
{
    uint64_t *policy = &((CFG *)object)->snp.policy;

    if (json_is_string(v) && bawn_u64_parse(json_string_value(v), policy))
        return NULL;
    if (!json_is_integer(v) || json_integer_value(v) < 0)
        return "must be a number, or text such as \"0x30000\"";
    *policy = (uint64_t)json_integer_value(v);
    return NULL;
}

static bool put_snp_policy(const void *object, json_t **v)
{
    const CFG *cfg = object;

    if (cfg->snp.policy == BAWN_SNP_POLICY_DEFAULT)
        return true;
    *v = json_sprintf("0x%llx", (unsigned long long)cfg->snp.policy);
    return *v;
}

static const char *get_hotplug(void *object, const json_t *v)
{
    if (!json_is_boolean(v))
        return "must be true or false";
    ((CFG *)object)->hotplug = json_is_true(v) ? BAWN_HOTPLUG_ON : BAWN_HOTPLUG_OFF;
    return NULL;
}

static bool put_hotplug(const void *object, json_t **v)
{
    const CFG *cfg = object;

    if (cfg->hotplug == BAWN_HOTPLUG_AUTO)
        return true;
    *v = json_boolean(cfg->hotplug == BAWN_HOTPLUG_ON);
    return *v;
}

#define NO_SMBIOS "the machine has no SMBIOS tables; leave it out"
#define SMBIOS(key) ONLY(key, NEVER, NO_SMBIOS)

static const struct bawn_json_field platform_keys[] = {
    OTHER("hotplug", get_hotplug, put_hotplug, "{\"type\":\"boolean\"}"),
    BOOL("sev_snp", CFG, snp.on, .hidden_if_zero = true),
    OTHER("snp_policy", get_snp_policy, put_snp_policy,
          "{\"anyOf\":[{\"type\":\"integer\",\"minimum\":0},"
          "{\"type\":\"string\",\"pattern\":\"^(0[xX][0-9a-fA-F]+|[0-9]+)$\"}]}"),
    FILE_PATH("snp_id_block", CFG, snp.id_block, ),
    FILE_PATH("snp_id_auth", CFG, snp.id_auth, ),
    FILE_PATH("snp_certs", CFG, snp.certs, ),
    ONLY("tdx", "false", "confidential machines are SEV-SNP ones: sev_snp"),
    HINT("num_pci_segments", 1, 96, "of no effect: there is one, and no device is in another"),
    ONLY("iommu_segments", NONE, "there is no virtio-iommu; leave it out"),
    ONLY("iommu_address_width_bits", "64|null", "there is no virtio-iommu; leave it out"),
    ONLY("iommufd", "false", "host devices are not passed through; leave it out"),
    EITHER("vfio_p2p_dma", "host devices are not passed through"),
    SMBIOS("system_serial_number"),
    SMBIOS("serial_number"),
    SMBIOS("system_uuid"),
    SMBIOS("uuid"),
    ONLY("oem_strings", NONE, NO_SMBIOS),
    SMBIOS("system_manufacturer"),
    SMBIOS("system_product_name"),
    SMBIOS("system_version"),
    SMBIOS("system_family"),
    SMBIOS("system_sku_number"),
    SMBIOS("chassis_asset_tag"),
};
static const struct bawn_json_table platform = { BAWN_JSON_TABLE(platform_keys) };

/* ---- The whole ---- */

#define NO_VFIO "host devices are not passed through; leave it out"
#define NO_VHOST_USER "vhost-user devices are not; leave it out"

static const struct bawn_json_field root_keys[] = {
    OBJECT("payload", payload, 0),
    OBJECT("cpus", cpus, 0),
    OBJECT("memory", memory, 0),
    LIST("disks", disks, CFG, disk, nr_disks, BAWN_MAX_DISKS),
    LIST("net", nets, CFG, net, nr_nets, BAWN_MAX_NETS),
    OBJECT("rng", rng, 0),
    OBJECT("balloon", balloon, offsetof(CFG, balloon)),
    OBJECT("vsock", vsock, offsetof(CFG, vsock)),
    OBJECT("serial", serial, offsetof(CFG, serial)),
    OBJECT("console", console, offsetof(CFG, console)),
    OBJECT("tpm", tpm, 0),
    OBJECT("platform", platform, 0),
    ONLY("debug_console", "null|{\"mode\":\"Off\"}", "use serial or console"),
    ONLY("rate_limit_groups", NONE, "each disk has its own rate_limiter_config"),
    ONLY("fs", NONE, NO_VHOST_USER),
    ONLY("generic_vhost_user", NONE, NO_VHOST_USER),
    ONLY("pmem", NONE, "there are no pmem devices; use disks"),
    ONLY("devices", NONE, NO_VFIO),
    ONLY("user_devices", NONE, NO_VFIO),
    ONLY("vdpa", NONE, NO_VFIO),
    ONLY("sgx_epc", NONE, "there is no SGX; leave it out"),
    ONLY("numa", NONE, "guest memory is one node; leave it out"),
    ONLY("pci_segments", NONE, "there is one PCI segment; leave it out"),
    ONLY("rtc", "null|{}", "the clock is the PC's; leave it out"),
    ONLY("watchdog", "false", "there is no watchdog; see --timeout"),
    EITHER("pvpanic", "the machine always has the pvpanic port"),
    EITHER("landlock_enable", "Landlock is always on, where the host has it"),
    ONLY("landlock_rules", NONE,
         "none is needed: no process of a machine opens a file by name once it runs"),
    NO_IOMMU,
};
static const struct bawn_json_table root = { BAWN_JSON_TABLE(root_keys) };

enum bawn_status bawn_vm_config_parse(struct bawn_vm_config *cfg, const char *json, size_t len,
                                      struct bawn_error *err)
{
    json_t *value;
    enum bawn_status st = bawn_json_load(&value, json, len, err);

    if (st == BAWN_OK)
        st = bawn_json_read(&root, cfg, NULL, value, err);
    json_decref(value);
    return st;
}

enum bawn_status bawn_vm_config_parse_device(struct bawn_vm_config *cfg, const char *section,
                                             const char *json, size_t len, struct bawn_error *err)
{
    const struct bawn_json_field *f = bawn_json_find(&root, section);
    json_t *value, *whole;
    enum bawn_status st = bawn_json_load(&value, json, len, err);

    if (st != BAWN_OK)
        return st;
    if (f && f->kind == BAWN_JSON_LIST)
        value = json_pack("[o]", value);
    whole = json_pack("{s:o}", section, value);
    st = whole ? bawn_json_read(&root, cfg, NULL, whole, err)
               : bawn_fail(err, BAWN_E_NOMEM, "out of memory");
    json_decref(whole);
    return st;
}

enum bawn_status bawn_vm_config_load(struct bawn_vm_config *cfg, const char *path,
                                     struct bawn_error *err)
{
    struct bawn_error why = { "" };
    struct bawn_file file;
    enum bawn_status st = bawn_file_read(&file, path, BAWN_JSON_TEXT_MAX, err);

    if (st != BAWN_OK)
        return st;
    st = bawn_vm_config_parse(cfg, (const char *)file.data, file.len, &why);
    bawn_file_free(&file);
    return st == BAWN_OK ? st : bawn_fail(err, st, "%.128s: %.380s", path, why.msg);
}

static char *text_of(json_t *value)
{
    char *text = value ? json_dumps(value, JSON_INDENT(2)) : NULL;

    json_decref(value);
    return text;
}

char *bawn_vm_config_print(const struct bawn_vm_config *cfg)
{
    return text_of(bawn_json_write(&root, cfg));
}

char *bawn_vm_config_schema(void)
{
    json_t *schema = bawn_json_schema(&root);

    if (schema)
        json_object_set_new(schema, "$schema",
                            json_string("https://json-schema.org/draft/2020-12/schema"));
    return text_of(schema);
}
