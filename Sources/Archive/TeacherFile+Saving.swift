import AnomalyScoring
import ConvNets

extension TeacherFile {
    /// Replaces the file at `path` by teacher weights, F32.
    ///
    /// - Parameter provenance: Who made them, how and under which terms, as far as that is known.
    /// - Throws: What the disk says. Names and shapes have to be a teacher's, or the file cannot be loaded.
    public static func save(
        _ parameters: ParameterSet, provenance: String, to path: String
    ) throws(TeacherFileError) {
        let tensors = (0..<parameters.count).map {
            StoredTensor(parameters.names[$0], shape: parameters[$0].shape, parameters[$0].values)
        }
        do {
            try SafetensorsFile(tensors: tensors, metadata: ["training": provenance]).write(to: path)
        } catch {
            throw TeacherFileError(path: path, failedCheck: .container(error))
        }
    }
}
