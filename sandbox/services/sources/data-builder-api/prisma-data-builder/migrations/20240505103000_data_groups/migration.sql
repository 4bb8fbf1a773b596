-- CreateTable
CREATE TABLE "data_groups" (
    "code" TEXT NOT NULL,
    "label" TEXT NOT NULL,
    "core_entity" TEXT NOT NULL,
    CONSTRAINT "data_groups_pkey" PRIMARY KEY ("code")
);
