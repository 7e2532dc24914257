// One build: what was asked for, what is set and held at the moment, and the notes of what happened
import groovy.json.JsonOutput

class Refused extends RuntimeException {
    Refused(String message) { super(message) }
}

class Failed extends RuntimeException {
    Failed(String message) { super(message) }

    String getResult() { 'FAILURE' }
}

// FlowInterruptedException: a person or a time limit ended it
class Interrupted extends Failed {
    Interrupted(String message) { super(message) }

    String getResult() { 'ABORTED' }
}

class Build {
    // hudson.model.Result: the later, the worse
    static final RESULTS = ['SUCCESS', 'UNSTABLE', 'FAILURE', 'NOT_BUILT', 'ABORTED']
    final Map request
    final Map parameters = [:]
    final Env env = new Env(this)
    final Steps steps = new Steps(this)
    final List<Map> variables
    final List<String> locks = []
    File workspace
    String result = 'SUCCESS'
    boolean dry
    int agents

    Build(Map request) {
        this.request = request
        // jenkins.io, "Using environment variables"; CI: "Statically set to the string true"
        variables = [[CI: 'true'] + request.environment]
    }

    void note(Map event) {
        if (!dry) { always(event) }
    }

    void always(Map event) {
        new File(request.record).append(JsonOutput.toJson(event) + '\n')
    }

    String variable(String name) {
        variables.reverse().find { it.containsKey(name) }?.get(name)
    }

    void setting(Map<String, String> more, Closure body) {
        variables << more
        try { body() } finally { variables.remove(variables.size() - 1) }
    }

    void worsen(String other) {
        result = worse(result, other)
    }

    static String worse(String one, String other) {
        RESULTS[Math.max(RESULTS.indexOf(one), RESULTS.indexOf(other))]
    }
}

// `env.NAME`, null where it is not set
class Env {
    private final Build build

    Env(Build build) { this.build = build }

    def propertyMissing(String name) { build.variable(name) }
}
