import AnomalyScoring
import ConvNets
import Crypto
import Glibc
import TensorKernels

/// What the files of another project hold of a model: networks, and what was measured with them.
public struct ImportedCheckpoint: Sendable {
    /// A file that was read.
    public struct Origin: Hashable, Sendable, Codable {
        public let path: String

        /// Of the whole file, hexadecimal.
        public let sha256: String
    }

    /// Whose names the first network has that was found.
    public private(set) var format: CheckpointFormat
    public private(set) var origins: [Origin] = []

    /// PDN-S or PDN-M, told by the layers of teacher and student; nil where neither was found.
    public private(set) var size: NetworkSize?

    public var teacher: ParameterSet? { networks[.teacher]?.value }
    public var student: ParameterSet? { networks[.student]?.value }
    public var autoencoder: ParameterSet? { networks[.autoencoder]?.value }

    /// μ_c and σ_c that student and autoencoder were trained with; nil where the files do not have them.
    public private(set) var statistics: ChannelStatistics?

    /// As the other project measured them, over maps at its own resolution (ALGORITHMS §4.1); nil where there are none.
    public private(set) var mapQuantiles: MapQuantiles?

    /// What an export has beside the networks.
    private(set) var remainder: Found<SafetensorsFile>?

    struct Found<Value: Sendable>: Sendable {
        let value: Value
        let path: String
    }

    private var networks: [NetworkRole: Found<ParameterSet>] = [:]
    private var sizes: [NetworkRole: NetworkSize] = [:]
    private var mean: Found<[Float]>?
    private var deviation: Found<[Float]>?

    /// The network of a role, if it was found.
    public subscript(role: NetworkRole) -> ParameterSet? { networks[role]?.value }

    /// Reads checkpoints of one model.
    ///
    /// - Parameters:
    ///   - paths: Files, or folders of which every `.pth`, `.pt`, `.ckpt` and `.safetensors` file is taken but the
    ///     `…_tmp.pth` that nelson1425's training leaves. At least one.
    ///   - wanted: Refuses other names; nil takes what is found.
    /// - Throws: The first thing that does not fit, with file, tensor and shapes.
    public init(reading paths: [String], format wanted: CheckpointFormat? = nil) throws(CheckpointImportError) {
        precondition(!paths.isEmpty, "no checkpoint is named")
        format = wanted ?? .safetensors
        for path in try Self.files(at: paths) {
            // By its name: the error for a damaged file can then be about the container that it was meant to have.
            let file: any TensorFile =
                try path.hasSuffix(".safetensors") ? SafetensorsTensorFile(path) : PyTorchTensorFile(path)
            try take(file, wanted: wanted)
            origins.append(Origin(path: path, sha256: try Self.digest(of: path)))
        }
        if let teacher = sizes[.teacher], let student = sizes[.student], teacher != student {
            throw .differentSizes(teacher: teacher, student: student)
        }
        size = sizes[.teacher] ?? sizes[.student]
        switch (mean, deviation) {
        case (let mean?, let deviation?):
            // anomalib's are zero until its training has begun.
            if deviation.value.contains(where: { $0 != 0 }) {
                statistics = ChannelStatistics(mean: mean.value, deviation: deviation.value)
            }
        case (nil, nil): break
        case (_?, nil): throw .halfOfTheStatistics(found: "mean")
        case (nil, _?): throw .halfOfTheStatistics(found: "standard deviation")
        }
    }

    // MARK: - One file

    private mutating func take(_ file: any TensorFile, wanted: CheckpointFormat?) throws(CheckpointImportError) {
        let names = Self.plainNames(of: file)
        guard let found = Self.format(of: names.keys) else {
            throw .unknownLayout(path: file.path, names: Array(names.keys.sorted().prefix(4)))
        }
        // Named layers are written alike by anomalib's teachers, by PUAD and by us.
        let isWanted = wanted == nil || wanted == found || found == .puad && wanted != .nelson1425
        guard isWanted || file.metadata[ModelFile.manifestKey] != nil else {
            throw .otherFormat(path: file.path, found: found, wanted: wanted ?? found)
        }

        var isOfUse = false
        for role in NetworkRole.allCases where !found.prefix(of: role).isEmpty {
            let prefix = found.prefix(of: role)
            let own = names.filter { $0.key.hasPrefix(prefix) }
            guard !own.isEmpty else { continue }
            let short = Dictionary(
                uniqueKeysWithValues: own.map { (String($0.key.dropFirst(prefix.count)), $0.value) })
            try takeNetwork(named: short, of: [role], format: found, from: file)
            isOfUse = true
        }
        for format in CheckpointFormat.allCases {
            isOfUse = try takeMeasurements(named: names, format: format, from: file) || isOfUse
        }
        if let safetensors = file as? SafetensorsTensorFile, file.metadata[ModelFile.manifestKey] != nil {
            if let remainder { throw .foundTwice(part: "measurements", first: remainder.path, second: file.path) }
            remainder = Found(value: safetensors.contents, path: file.path)
            isOfUse = true
        }
        if !isOfUse { try takeNetwork(named: names, of: NetworkRole.allCases, format: found, from: file) }
    }

    /// Names as the projects' classes have them, each with the name in the file: without the `model.` that Lightning puts
    /// before, and a tensor without a name by that of its file.
    private static func plainNames(of file: any TensorFile) -> [String: String] {
        let names = file.shapes.keys
        if names.count == 1, names.first == "" {
            let name = AtomicFile.split(file.path).name
            return [String(name.prefix { $0 != "." }): ""]
        }
        let wrapper = "model."
        guard names.contains(where: { $0.hasPrefix(wrapper) }) else {
            return Dictionary(uniqueKeysWithValues: names.map { ($0, $0) })
        }
        return Dictionary(
            uniqueKeysWithValues: names.filter { $0.hasPrefix(wrapper) }.map {
                (String($0.dropFirst(wrapper.count)), $0)
            })
    }

    private static func format(of names: some Collection<String>) -> CheckpointFormat? {
        func has(_ beginnings: String...) -> Bool {
            names.contains { name in beginnings.contains { name.hasPrefix($0) } }
        }
        if has("ae.", "mean_std.") { return .anomalib }
        if has("teacher.", "student.", "autoencoder.", "channels.", "gaussian.") { return .safetensors }
        if has("conv", "encoder.", "decoder.") { return .puad }
        if names.contains(where: { $0.first?.isNumber == true }) { return .nelson1425 }
        return CheckpointFormat.allCases.first { format in
            let (mean, deviation) = format.statisticsNames
            return ([mean, deviation] + (format.quantileNames ?? [])).contains { names.contains($0) }
        }
    }

    // MARK: - Networks

    /// - Parameters:
    ///   - names: The parameters' names without prefix, each with the name in the file.
    ///   - roles: What the network can be; with several, a patch description network is told by its output's width.
    private mutating func takeNetwork(
        named names: [String: String], of roles: [NetworkRole], format: CheckpointFormat, from file: any TensorFile
    ) throws(CheckpointImportError) {
        let given = Set(names.keys)
        guard let map = NetworkKeyMap.matching(given, of: roles, in: format) else {
            throw Self.mismatch(names, of: roles, format: format, path: file.path)
        }
        func shape(_ foreign: String) -> [Int] { names[foreign].flatMap { file.shapes[$0] } ?? [] }
        let outputChannels = map.keys.last.map { shape($0.foreign) }?.first
        let role: NetworkRole =
            roles.count == 1
            ? roles[0]
            : map.size == nil
                ? .autoencoder : outputChannels == 2 * NetworkArchitecture.featureCount ? .student : .teacher
        let architecture: NetworkArchitecture =
            switch (role, map.size) {
            case (.teacher, let size?): .teacher(size)
            case (.student, let size?): .student(size)
            default: .autoencoder
            }
        if let first = networks[role] {
            throw .foundTwice(part: "the \(role.rawValue)", first: first.path, second: file.path)
        }
        var parameters = ParameterSet()
        for (key, wanted) in zip(map.keys, architecture.parameters) {
            let name = names[key.foreign] ?? key.foreign
            guard shape(key.foreign) == wanted.shape else {
                throw .shape(path: file.path, tensor: name, found: shape(key.foreign), expected: wanted.shape)
            }
            let values = try Self.finiteValues(of: name, in: file)
            parameters.append(wanted.name, Tensor(shape: wanted.shape, values: values))
        }
        if networks.isEmpty { self.format = format }
        networks[role] = Found(value: parameters, path: file.path)
        sizes[role] = map.size
    }

    private static func mismatch(
        _ names: [String: String], of roles: [NetworkRole], format: CheckpointFormat, path: String
    ) -> CheckpointImportError {
        guard let map = NetworkKeyMap.nearest(Set(names.keys), of: roles, in: format) else {
            return .unknownLayout(path: path, names: Array(names.keys.sorted().prefix(4)))
        }
        let wanted = map.keys.map(\.foreign)
        if let missing = wanted.first(where: { names[$0] == nil }) { return .missingTensor(path: path, missing) }
        let stranger = names.keys.sorted().first { !wanted.contains($0) }
        return .unexpectedTensor(path: path, stranger.flatMap { names[$0] } ?? "")
    }

    private static func finiteValues(
        of name: String, in file: any TensorFile
    ) throws(CheckpointImportError) -> [Float] {
        guard let values = try file.values(of: name) else { throw .elementType(path: file.path, tensor: name) }
        guard values.allSatisfy(\.isFinite) else { throw .finiteness(path: file.path, tensor: name) }
        return values
    }

    // MARK: - Measurements

    /// - Returns: Whether the file has any.
    private mutating func takeMeasurements(
        named names: [String: String], format: CheckpointFormat, from file: any TensorFile
    ) throws(CheckpointImportError) -> Bool {
        let statistics = format.statisticsNames
        var isOfUse = false
        if let name = names[statistics.mean] {
            if let mean { throw .foundTwice(part: "the channels' mean", first: mean.path, second: file.path) }
            try Self.checkChannels(name, in: file)
            mean = Found(value: try Self.finiteValues(of: name, in: file), path: file.path)
            isOfUse = true
        }
        if let name = names[statistics.deviation] {
            if let deviation {
                throw .foundTwice(part: "the channels' deviation", first: deviation.path, second: file.path)
            }
            try Self.checkChannels(name, in: file)
            guard let values = try file.values(of: name) else { throw .elementType(path: file.path, tensor: name) }
            guard !values.contains(where: \.isNaN) else { throw .finiteness(path: file.path, tensor: name) }
            guard values.allSatisfy({ $0 >= 0 }) else { throw .negativeDeviation(path: file.path, tensor: name) }
            // Our exports say ∞ where a channel is dead, so that dividing by it gives the 0 that is meant.
            deviation = Found(value: values.map { $0.isInfinite ? 0 : $0 }, path: file.path)
            isOfUse = true
        }
        if let quantileNames = format.quantileNames, quantileNames.allSatisfy({ names[$0] != nil }) {
            var quantiles: [Double] = []
            for name in quantileNames.compactMap({ names[$0] }) {
                let values = try Self.finiteValues(of: name, in: file)
                guard values.count == 1 else {
                    throw .shape(path: file.path, tensor: name, found: file.shapes[name] ?? [], expected: [])
                }
                quantiles.append(Double(values[0]))
            }
            // anomalib's are zero until its first validation.
            if quantiles.contains(where: { $0 != 0 }) {
                mapQuantiles = MapQuantiles(
                    studentTeacher: .init(lower: quantiles[0], upper: quantiles[1]),
                    autoencoderStudent: .init(lower: quantiles[2], upper: quantiles[3]))
            }
            isOfUse = true
        }
        return isOfUse
    }

    /// One value per channel, `[384]` or `[1, 384, 1, 1]`.
    private static func checkChannels(_ name: String, in file: any TensorFile) throws(CheckpointImportError) {
        let features = NetworkArchitecture.featureCount
        let shape = file.shapes[name] ?? []
        guard shape == [features] || shape == [1, features, 1, 1] else {
            throw .shape(path: file.path, tensor: name, found: shape, expected: [features])
        }
    }

    // MARK: - Files

    private static func files(at paths: [String]) throws(CheckpointImportError) -> [String] {
        var files: [String] = []
        for path in paths {
            guard Directory.kind(of: path) == .directory else {
                files.append(path)
                continue
            }
            let names: [String]
            do { names = try Directory.names(in: path) } catch { throw .file(error) }
            let checkpoints = names.filter { name in
                [".pth", ".pt", ".ckpt", ".safetensors"].contains { name.hasSuffix($0) }
                    && !name.hasSuffix("_tmp.pth") && !name.hasPrefix(".")
            }
            guard !checkpoints.isEmpty else { throw .noCheckpoints(folder: path, found: Array(names.prefix(4))) }
            files += checkpoints.map { "\(path)/\($0)" }
        }
        return files
    }

    private static func digest(of path: String) throws(CheckpointImportError) -> String {
        do throws(FileError) {
            let file = try OpenFile(path, O_RDONLY)
            let byteCount = try file.regularFileSize()
            let part = 1 << 20
            var digest = SHA256()
            for offset in stride(from: 0, to: byteCount, by: part) {
                digest.update(data: try file.read(min(part, byteCount - offset), at: offset))
            }
            return digest.finalize().hexadecimal
        } catch {
            throw .file(error)
        }
    }
}

extension ImportedCheckpoint {
    /// Where the networks come from, for the model card.
    public var provenance: String {
        let files = origins.map { "\(AtomicFile.split($0.path).name) sha256: \($0.sha256)" }
        return "imported (\(format.rawValue)): " + files.joined(separator: "; ")
    }
}
