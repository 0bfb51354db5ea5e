import Locking

/// The bytes of one frame, given back to their pool when the last reader lets go.
public final class PixelBuffer: @unchecked Sendable {
    // Sendable because the bytes are written once, inside `init`, before anyone else can see the object.
    private let bytes: UnsafeMutableBufferPointer<UInt8>
    private let pool: FramePool?

    /// A buffer of its own, outside any pool: for tests, tools and folders of images.
    public convenience init(count: Int, fill: (inout MutableSpan<UInt8>) -> Void) {
        self.init(bytes: .allocate(capacity: count), pool: nil, fill: fill)
    }

    fileprivate init(
        bytes: UnsafeMutableBufferPointer<UInt8>, pool: FramePool?, fill: (inout MutableSpan<UInt8>) -> Void
    ) {
        self.bytes = bytes
        self.pool = pool
        // Zeros and not the last frame's pixels, should `fill` leave a byte out.
        bytes.initialize(repeating: 0)
        var span = bytes.mutableSpan
        fill(&span)
    }

    deinit {
        if let pool { pool.takeBack(bytes) } else { bytes.deallocate() }
    }

    public var count: Int { bytes.count }

    func withBytes<Result, Failure: Error>(
        _ body: (Span<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(UnsafeBufferPointer(bytes).span)
    }
}

/// The tokens that bound how many frames can be in the system at once.
///
/// Memory cannot grow past `capacity` frames: whoever finds no token waits or drops, by its own policy. Bytes of
/// returned frames are used again as long as the size of the frames stays the same.
public final class FramePool: Sendable {
    private struct Contents {
        var inUse = 0
        // Kept as addresses: buffer pointers are not Sendable.
        var idle: [(address: UInt, count: Int)] = []
    }

    public let capacity: Int
    private let contents = Monitor(Contents())

    /// - Parameter capacity: More tolerates longer stalls downstream, at one frame's memory each.
    public init(capacity: Int) {
        precondition(capacity > 0, "a frame pool needs at least one frame")
        self.capacity = capacity
    }

    deinit {
        for buffer in contents.withLock({ $0.idle }) {
            UnsafeMutablePointer<UInt8>(bitPattern: buffer.address)?.deallocate()
        }
    }

    /// How many frames are in the system now.
    public var inUse: Int { contents.withLock { $0.inUse } }

    /// A buffer of `count` bytes written by `fill`, or nil while all tokens are taken.
    public func makeBuffer(count: Int, fill: (inout MutableSpan<UInt8>) -> Void) -> PixelBuffer? {
        let taken: (granted: Bool, reused: UInt?, stale: [UInt]) = contents.withLock { contents in
            guard contents.inUse < capacity else { return (false, nil, []) }
            contents.inUse += 1
            let stale = contents.idle.filter { $0.count != count }.map(\.address)
            contents.idle.removeAll { $0.count != count }
            return (true, contents.idle.popLast()?.address, stale)
        }
        guard taken.granted else { return nil }
        for address in taken.stale { UnsafeMutablePointer<UInt8>(bitPattern: address)?.deallocate() }
        let start = taken.reused.flatMap { UnsafeMutablePointer<UInt8>(bitPattern: $0) } ?? .allocate(capacity: count)
        return PixelBuffer(bytes: UnsafeMutableBufferPointer(start: start, count: count), pool: self, fill: fill)
    }

    /// Waits until a token is free, at most `timeout`.
    ///
    /// The token is not reserved: where several sources share the pool, another may take it first.
    ///
    /// - Returns: Whether one was free.
    public func waitForToken(timeout: Duration) -> Bool {
        contents.wait(atMost: timeout) { [capacity] contents in contents.inUse < capacity ? true : nil } ?? false
    }

    fileprivate func takeBack(_ bytes: UnsafeMutableBufferPointer<UInt8>) {
        contents.withLock { contents in
            contents.inUse -= 1
            contents.idle.append((UInt(bitPattern: bytes.baseAddress), bytes.count))
        }
    }
}
