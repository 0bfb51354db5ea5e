import CKernels

/// Where an image lies in the memory of an inference program with the pixels of a row side by side:
/// `[height, ⌈width/32⌉, channels, 32]`.
///
/// Every row is a panel matrix of channels × pixels: for work on neighbouring pixels of a channel, where a `PanelImage`
/// serves work on the channels of a pixel. Pixels beyond the width are there and hold anything.
package struct RowPanelImage: Sendable {
    package let channels: Int
    package let height: Int
    package let width: Int

    /// In floats.
    private let offset: Int

    package init(channels: Int, height: Int, width: Int, in plan: inout MemoryPlan) {
        self.channels = channels
        self.height = height
        self.width = width
        offset = plan.reserve(height * Self.panels(of: width) * channels * VectorKernels.panelColumns)
    }

    static func panels(of width: Int) -> Int { PanelImage.panels(of: width) }

    /// Of a row.
    var panels: Int { Self.panels(of: width) }

    /// From one panel to the next, in floats.
    var panelStep: Int { channels * VectorKernels.panelColumns }

    /// From one row to the next, in floats.
    var rowStep: Int { panels * panelStep }

    /// A pixel of a channel, and behind it those up to the next multiple of 32.
    func pixel<Memory: PanelMemory>(_ memory: Memory, channel: Int, y: Int, x: Int) -> Memory {
        let (panel, inside) = x.quotientAndRemainder(dividingBy: VectorKernels.panelColumns)
        return memory.advanced(
            by: offset + y * rowStep + panel * panelStep + channel * VectorKernels.panelColumns + inside)
    }

    /// A row as a matrix of channels × pixels.
    func matrix(ofRow y: Int, in memory: UnsafeMutablePointer<Float>) -> beltwatch_panels {
        beltwatch_panels(base: pixel(memory, channel: 0, y: y, x: 0), panel_step: panelStep)
    }
}
