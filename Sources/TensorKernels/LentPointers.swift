/// Lends the memory of two spans to read and one to write.
func withPointers(
    _ first: Span<Float>, _ second: Span<Float>, _ target: inout MutableSpan<Float>,
    _ body: (UnsafePointer<Float>, UnsafePointer<Float>, UnsafeMutablePointer<Float>) -> Void
) {
    first.withUnsafeBufferPointer { first in
        second.withUnsafeBufferPointer { second in
            target.withUnsafeMutableBufferPointer { target in
                // No dimension is zero, so no base address is missing.
                guard let first = first.baseAddress, let second = second.baseAddress,
                    let target = target.baseAddress
                else { return }
                body(first, second, target)
            }
        }
    }
}
