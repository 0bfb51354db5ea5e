import TensorKernels

extension BranchNetworks {
    /// The fastest way to observe pictures with these networks, prepared for many of them.
    ///
    /// The one place that knows what `BranchProgram` can run. LA-EAD's extractor is computed layer by layer, on the same
    /// fast convolutions but with nothing fused and memory taken anew for every frame.
    ///
    /// - Parameters:
    ///   - other: A program whose prepared teacher is used again if it is the same; nil prepares one.
    ///   - threads: How many threads compute at once, the caller included; at least 1.
    public func fastestObserver(
        sharingTeacherOf other: BranchProgram? = nil, threads: Int
    ) -> any BranchObserver {
        if case .contextExtractor = pooling {
            LayerwiseObserver(self, on: WinogradConvolution(threads: threads))
        } else {
            BranchProgram(self, sharingTeacherOf: other, threads: threads)
        }
    }
}
