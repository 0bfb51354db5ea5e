import CMalloc

/// What becomes of memory that a part no longer needs.
enum FreedMemory {
    /// Keeps it in the process, for the next part.
    ///
    /// By itself glibc asks the kernel for every block of 128 KiB and more, and gives it back at once: the picture of each
    /// part then comes in hundreds of fresh pages, which is half the time of its preprocessing (`make load`). The process
    /// never takes more than it took at its busiest.
    static func keep() {
        // 32 MiB is the most that glibc takes; the picture of a part has 768 KiB, its features some MiB.
        mallopt(M_MMAP_THRESHOLD, 32 << 20)
        mallopt(M_TRIM_THRESHOLD, 256 << 20)
    }
}
