extension SceneRenderer {
    /// Draws the scene and takes the picture.
    static func photograph(_ scene: Scene) -> RenderedImage {
        expose(draw(scene), light: scene.light, noiseSeed: scene.noiseSeed)
    }

    /// Lamp and vignette, the blur of the moving belt, the sensor's square-root response, its noise.
    ///
    /// The square root, close to sRGB's curve, also makes photon noise the same at every brightness
    /// (Anscombe 1948), so that one deviation serves for all.
    static func expose(_ canvas: Canvas, light lamp: Light, noiseSeed: UInt64) -> RenderedImage {
        let width = canvas.width
        let height = canvas.height
        var noise = RandomSource(seed: noiseSeed)
        var row = [Colour](repeating: .zero, count: width)
        let neighbour = (motionBlur - 1) / 2 / motionBlur
        let pixels = [UInt8](unsafeUninitializedCapacity: width * height * 3) { bytes, count in
            for y in 0..<height {
                for x in 0..<width {
                    let place = Vector(
                        (Float(x) + 0.5) / Float(width) * 2 - 1, (Float(y) + 0.5) / Float(height) * 2 - 1)
                    row[x] = canvas.light[y * width + x] * lamp.tint * lamp.illumination(at: place)
                }
                for x in 0..<width {
                    let blurred =
                        row[x] / motionBlur + (row[max(x - 1, 0)] + row[min(x + 1, width - 1)]) * neighbour
                    for channel in 0..<3 {
                        let signal = 255 * max(blurred[channel], 0).squareRoot()
                        let value = signal + noiseDeviation * gaussian(from: noise.next())
                        bytes[(y * width + x) * 3 + channel] = UInt8((value + 0.5).clamped(to: 0...255))
                    }
                }
            }
            count = width * height * 3
        }
        return RenderedImage(width: width, height: height, pixels: pixels)
    }

    /// Nearly normal, mean 0 and deviation 1: the sum of four uniform numbers, whose variance is 4/12.
    private static func gaussian(from bits: UInt64) -> Float {
        let sum = (bits & 0xFFFF) + (bits >> 16 & 0xFFFF) + (bits >> 32 & 0xFFFF) + bits >> 48
        return (Float(sum) * 0x1p-16 - 2) * 1.732_050_8
    }

    /// The ground truth of one tray on a canvas it has been drawn on.
    static func masks(of tray: Scene.Tray, on canvas: Canvas) -> [DefectMask] {
        tray.specimen.findings.map { finding in
            let isInside: [Bool]
            switch finding.region {
            case .surface(let surfaces):
                let codes = Set(surfaces.map(Canvas.code))
                isInside = canvas.owners.map(codes.contains)
            case .damage:
                guard let damage = tray.specimen.damage else { preconditionFailure("a finding without its damage") }
                isInside = canvas.owners.indices.map { index in
                    let place = Vector(Float(index % canvas.width) + 0.5, Float(index / canvas.width) + 0.5)
                    let point = tray.pose.inner(place)
                    return damage.changes(point, owner: canvas.owners[index], in: tray.specimen.kit)
                }
            }
            return DefectMask(
                definition: finding.definition, width: canvas.width, height: canvas.height, isInside: isInside)
        }
    }
}

extension SurfaceDamage {
    /// Whether the damage shows at a point of the tray, given what the finished picture shows there.
    fileprivate func changes(_ point: Vector, owner: UInt8, in kit: Kit) -> Bool {
        switch shape {
        case .scratch(let scratch):
            // The ground truth is never thinner than a pixel, or a fine scratch would have none.
            return Canvas.owner(owner, shows: surface) && scratch.outline(point) <= 0.7
        case .dent(let dent):
            return Canvas.owner(owner, shows: surface) && dent.outline(point) <= 0
        case .stain(let stain):
            return Canvas.owner(owner, shows: surface) && stain.outline(point) <= 0
        case .brokenEdge(let chip):
            // What is gone: inside the chip and inside the whole shape.
            if case .part(let index) = surface {
                let part = kit.parts[index]
                let own = part.pose.inner(point)
                return chip.outline(own) <= 0 && part.kind.silhouette(own) <= 0
            }
            return chip.outline(point) <= 0 && KitTray.outline(point) <= 0
                && Compartment.nearest(to: point).outline(point) > 0
        }
    }
}
