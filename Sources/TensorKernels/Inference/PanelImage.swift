/// Where an image lies in the memory of an inference program: `[⌈channels/32⌉, rows, columns, 32]`.
///
/// 32 channels of a pixel lie side by side, so that an image without margins is a panel matrix of pixels × channels.
/// Margins around the image are zero and stay so; readers of whole tiles reach into them.
package struct PanelImage: Sendable {
    package let channels: Int
    package let height: Int
    package let width: Int

    /// Rows above and columns left of the image.
    let margin: Int

    /// With margins.
    let rows: Int
    let columns: Int

    /// Of the first panel's first margin pixel, in floats.
    let offset: Int

    /// - Parameters:
    ///   - margin: Zeros above and to the left.
    ///   - extent: Rows and columns that readers reach, counted from the first margin pixel; at least the image.
    package init(
        channels: Int, height: Int, width: Int, margin: Int = 0, extent: (rows: Int, columns: Int) = (0, 0),
        in plan: inout MemoryPlan
    ) {
        self.channels = channels
        self.height = height
        self.width = width
        self.margin = margin
        rows = max(extent.rows, margin + height)
        columns = max(extent.columns, margin + width)
        offset = plan.reserve(Self.panels(of: channels) * rows * columns * VectorKernels.panelColumns)
    }

    static func panels(of channels: Int) -> Int {
        (channels + VectorKernels.panelColumns - 1) / VectorKernels.panelColumns
    }

    var panels: Int { Self.panels(of: channels) }

    /// From one panel to the next, in floats.
    var panelStep: Int { rows * columns * VectorKernels.panelColumns }

    /// From one row to the next, in floats.
    var rowStep: Int { columns * VectorKernels.panelColumns }

    /// Sixteen channels are handled side by side.
    var laneBlocks: Int { (channels + VectorKernels.lanes - 1) / VectorKernels.lanes }

    /// The first of sixteen channels of a pixel.
    func pixel<Memory: PanelMemory>(_ memory: Memory, block: Int, y: Int, x: Int) -> Memory {
        let (panel, half) = block.quotientAndRemainder(dividingBy: VectorKernels.panelColumns / VectorKernels.lanes)
        return memory.advanced(
            by: offset + panel * panelStep + (y + margin) * rowStep + (x + margin) * VectorKernels.panelColumns
                + half * VectorKernels.lanes)
    }
}

/// Memory of an inference program, to read or to write.
package protocol PanelMemory: Strideable where Stride == Int {}
extension UnsafePointer<Float>: PanelMemory {}
extension UnsafeMutablePointer<Float>: PanelMemory {}

/// An image `[channels, height, width]` in the memory of an inference program: what comes in and goes out.
package struct PlaneImage: Sendable {
    package let channels: Int
    package let height: Int
    package let width: Int

    /// In floats.
    package let offset: Int

    package init(channels: Int, height: Int, width: Int, in plan: inout MemoryPlan) {
        self.channels = channels
        self.height = height
        self.width = width
        offset = plan.reserve(channels * height * width)
    }

    package var count: Int { channels * height * width }
}
