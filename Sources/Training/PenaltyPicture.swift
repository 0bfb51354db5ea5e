import Imaging

/// How a picture of anything becomes one that the student shall not describe (ALGORITHMS §3.1).
public enum PenaltyPicture {
    /// Side of the square that the whole picture is brought to, in pixels; its centre is taken.
    private static let resizedSide = 512

    /// The 256×256 pixels in the middle of the picture at 512×512, whatever its aspect ratio was.
    public static func modelImage(of frame: Frame) -> ModelImage {
        let resize = PillowBilinear(
            inputWidth: frame.width, inputHeight: frame.height, outputWidth: resizedSide, outputHeight: resizedSide)
        let resized = frame.withPixels { resize.resize($0, bytesPerRow: frame.width * 3) }
        let margin = (resizedSide - ModelImage.side) / 2
        let rows = (margin..<margin + ModelImage.side).map { row in
            let start = (row * resizedSide + margin) * 3
            return resized[start..<start + ModelImage.side * 3]
        }
        return ModelImage(pixels: Array(rows.joined()))
    }
}
